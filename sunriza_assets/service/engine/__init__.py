"""Inside the engine process: portraits that are prepared, pictures that are drawn, its server.

Only `engine_process` imports this; it loads OpenCV and, where there are weights and a GPU, torch.
"""
