# The stack that uses the image.
