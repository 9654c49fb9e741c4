"""Calls AWS operations through boto3 and records the answers, with stable names for values that change from run to run."""

import datetime
import re
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

# Values that differ between any two runs.
VOLATILE = [
    (re.compile(r"-----BEGIN .*-----END [A-Z ]+-----\n?", re.S), "<private key>"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"\b([0-9a-f]{2}:){15,19}[0-9a-f]{2}\b"), "<fingerprint>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00| GMT| UTC)?"), "<time>"),
    (re.compile(r"\b(ec2|ip)-[\d-]+\.[a-z0-9.-]+"), "<dns name>"),
    (re.compile(r"\b\d{1,3}(\.\d{1,3}){3}\b(?!/)"), "<address>"),
    (re.compile(r"\b([a-z]+)-[0-9a-f]{8,17}\b"), r"<\1>"),
]


class Recorder:
    """One client's run of a story against one endpoint."""

    def __init__(self, endpoint, region="eu-central-1"):
        self.endpoint, self.region = endpoint, region
        self.clients, self.names, self.steps = {}, {}, {}

    def client(self, service, region=None):
        key = (service, region or self.region)
        if key not in self.clients:
            config = Config(retries={"max_attempts": 0}, parameter_validation=False)
            self.clients[key] = boto3.client(service, endpoint_url=self.endpoint, region_name=key[1], config=config)
        return self.clients[key]

    def name(self, word, identifier):
        """Replaces a value by its name from now on, so that equal values are recognisable."""
        self.names[identifier] = f"<{word}>"
        return identifier

    def call(self, step, service, operation, region=None, **given):
        """Makes the call, records its answer under the name of the step, and returns it. An error is an answer too."""
        try:
            answer = self.ask(service, operation, region=region, **given)
        except ClientError as error:
            answer = {"Error": error.response["Error"]["Code"]}
        except ResponseParserError:
            # A page of HTML: the server itself has failed.
            answer = {"Error": "500"}
        self.steps[step] = (f"{service}:{operation}", answer)
        return answer

    def ask(self, service, operation, region=None, **given):
        """Not part of the story."""
        answer = getattr(self.client(service, region), operation)(**given)
        answer.pop("ResponseMetadata", None)
        return answer

    def wait(self, look, fits, seconds=60):
        end = time.time() + seconds
        while True:
            try:
                seen = look()
                if fits(seen):
                    return seen
            except ClientError as error:
                seen = error
            if time.time() > end:
                raise TimeoutError(f"never came: {seen}")
            time.sleep(0.1)

    def answers(self):
        return {step: {"operation": operation, "answer": self.plain(answer)} for step, (operation, answer) in self.steps.items()}

    def plain(self, value):
        if isinstance(value, dict):
            return {key: self.plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            # No operation of the stories promises an order.
            return sorted((self.plain(item) for item in value), key=repr)
        if isinstance(value, datetime.datetime):
            return "<time>"
        return self.words(value) if isinstance(value, str) else value

    def words(self, text):
        for identifier, word in self.names.items():
            text = text.replace(identifier, word)
        for pattern, word in VOLATILE:
            text = pattern.sub(word, text)
        return text
