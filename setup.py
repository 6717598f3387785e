"""List every folder with an __init__.py as a package below `instructme`; all else is in pyproject.toml."""

from setuptools import find_packages, setup

ROOMS = ("manifests", "dataset_tools", "model", "pipelines")
folders = find_packages(include=[pattern for room in ROOMS for pattern in (room, f"{room}.*")], exclude=["pipelines.api"])
setup(packages=["instructme", *(f"instructme.{folder}" for folder in folders)])
