"""TFLite to ONNX for the handful of plain convolution graphs that the face models are made of.

`source` reads the flatbuffer, `translate` writes the ONNX graph, `check` compares the result with
recorded outputs of the original. Not a general converter: what these models do not use is refused.
"""
