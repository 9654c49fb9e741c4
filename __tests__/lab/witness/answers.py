"""python answers.py ENDPOINT STORY: what the endpoint answers to the calls of the story, as JSON: step -> operation and answer."""

import importlib
import json
import sys

from record import Recorder

endpoint, name = sys.argv[1:]
recorder = Recorder(endpoint)
importlib.import_module(name).story(recorder)
json.dump(recorder.answers(), sys.stdout, indent=1)
