"""Audio language models: loading, adapters, quantization, identity, the exact short-clip encoder.

The modules are imported by name, so that reading this package costs no import of torch.
"""
