"""Upload the demo workflow, wait until it is complete and print its status.

Run it from anywhere while a Gaia server is up. The Gaia it talks to comes from the environment (GAIA_HOST) or is
localhost:24442. The calls are those of the original client's page, whose `json.load(path)` needed an open file.
"""

import json
from pathlib import Path

import gaia

here = Path(__file__).parent
name = "crick_demo_20191130.121500"

flow = gaia.Gaia()
with open(here / "demo-commands.json") as file:
    commands = json.load(file)
with open(here / "demo-steps.json") as file:
    steps = json.load(file)
flow.upload(name, {"owner": "crick"}, commands, steps)
flow.wait(name)
print(json.dumps(flow.status(name), indent=2))
