"""The services that the scale-out mode needs: found, started, or reported missing."""
