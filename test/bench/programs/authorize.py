import os

FIELD = "Bearer " + os.environ["TOKEN"]


# modify_headers comes too late for a body that is streamed.
def requestheaders(flow):
    flow.request.headers["Authorization"] = FIELD
