"""The verb `presets`: list the presets, or print one as JSON."""

import click

from instructme.model.presets import PRESETS

ORDER = 80


@click.command("presets", short_help="List the presets, or print one as JSON.")
@click.argument("name", required=False, type=click.Choice(list(PRESETS)))
@click.option("--set", "settings", metavar="PART.FIELD=VALUE", multiple=True, help="Change a field. Repeatable.")
def command(name: str | None, settings: tuple[str, ...]) -> None:
    r"""List the presets, or print the preset NAME as JSON.

    The JSON has every field that --set can change, and the numbers of parameters. Counting builds no model and needs little
    memory. The command needs torch: pip install 'instructme[train]'.

    \b
    Example:
      instructme presets
      instructme presets small
      instructme presets small --set unet.blocks=3
    """
    import json

    from instructme.model import config, unet, vae

    if name is None and settings:
        raise click.UsageError("--set needs the NAME of a preset, such as tiny")
    for preset in PRESETS.values() if name is None else [config.override(PRESETS[name], settings)]:
        counts = {"vae": vae.parameter_counts(preset), "unet": unet.parameter_counts(preset)}
        if name is None:
            latent = f"latent of {preset.vae.latent_channels} x {preset.sample_rate_hz / preset.hop_samples:g} Hz"
            sizes = f"VAE {sum(counts['vae'].values()) / 1e6:.1f} M, U-Net {counts['unet']['unet'] / 1e6:.1f} M parameters"
            click.echo(f"{preset.name}: {preset.sample_rate_hz} Hz, {latent}, {sizes}")
        else:
            click.echo(json.dumps({**config.to_dict(preset), "parameters": counts}, indent=2))
