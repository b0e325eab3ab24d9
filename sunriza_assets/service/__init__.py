"""The HTTP service: what apps, websites and other backends call.

The API process imports neither Dagster nor torch nor OpenCV (a test looks): a request reads and
writes rows and files. What needs a face or a codec is done by the engine process (`engine_process`,
through `engine_client`); what makes an avatar is an order, which the dispatcher
(`sunriza_assets/operations`) turns into a run.
"""
