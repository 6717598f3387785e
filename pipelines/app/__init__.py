"""A page in the browser to try an editor: choose a song, type a sentence, compare source and result by ear and eye.

FastAPI serves it. Gradio does not: its releases need an older pillow than the locked one.
"""
