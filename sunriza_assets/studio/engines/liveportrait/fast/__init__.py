"""The forward passes that render: the same functions as `networks`, with fewer and larger steps.

Everything here is an exact rewriting (equal in exact arithmetic, equal to rounding in floats): what
depends on weights alone is done once at load, what depends on the portrait alone once a portrait,
convolutions of repeated pixels are done on the pixels themselves. Tensors are channels-last
throughout, channel counts are padded to the sizes of vector units and tensor cores, and driving
poses are batched.
"""
