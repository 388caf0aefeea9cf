"""Views of clips: draws of their parameters, and making them of pixels."""
