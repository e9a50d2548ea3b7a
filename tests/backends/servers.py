"""Loki and Prometheus as `.ci/backends/build` makes them, with what deploy/compose/grafana configures.

Tempo is not among them: it is not in the registry of Go modules in a form that can be verified.
"""

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import yaml

from tests.path.conftest import Process, eventually, free_port, get

COMPOSE: Final = Path(__file__).parents[2] / "deploy" / "compose" / "grafana"
BACK_S: Final = 3 * 3600  # how far back a query looks: `$__range`
STEP_S: Final = 15  # between two points of a graph
ANSWER_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a backend says to a query: series, streams or samples, or why it says nothing."""

    error: str = ""
    result: tuple[dict[str, Any], ...] = ()

    @property
    def numbers(self) -> list[float]:
        """The values, of all series; `nan` is none."""
        found: list[float] = []
        for one in self.result:
            pairs = one.get("values") or [one["value"]]
            found += [float(pair[1]) for pair in pairs if "stream" not in one]
        return [number for number in found if not math.isnan(number)]

    @property
    def lines(self) -> list[str]:
        """Log lines."""
        return [line for one in self.result if "stream" in one for _, line, *_ in one["values"]]

    @property
    def empty(self) -> bool:
        return not (self.numbers or self.lines)

    def labels(self, name: str) -> set[str]:
        """The values that a label has."""
        found = [one.get("metric") or one.get("stream") or {} for one in self.result]
        return {labels[name] for labels in found if name in labels}


class Backend:
    """A process that answers queries at `url`, with its files in `directory`."""

    api: str
    ready: str

    def __init__(self, binary: Path, directory: Path) -> None:
        directory.mkdir(parents=True)
        self._binary = binary
        self.directory = directory
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = Process(directory / "log")

    def command(self) -> list[str]:
        """What starts it."""
        raise NotImplementedError

    def start(self) -> None:
        """Returns at once; `wait` for it."""
        self.process.spawn(self.command(), {})

    def wait(self) -> None:
        """Return when it is ready."""

        def answers() -> bool:
            assert self.process.running, self.process.log.read_text(encoding="utf-8")
            return get(self.url + self.ready)[0] == 200

        eventually(f"{self._binary.name} is ready", answers)

    def stop(self) -> None:
        """At once: nobody reads what it keeps."""
        if self.process.running:
            self.process.kill()

    def ask(self, query: str, *, instant: bool, at_s: float | None = None) -> Answer:
        """The answer at the moment `at_s`, Unix seconds, which is now; else for `BACK_S` before it."""
        moment_s = time.time() if at_s is None else at_s
        form = {"query": query, "time": f"{moment_s:.3f}"}
        if not instant:
            form = {
                "query": query,
                "start": f"{moment_s - BACK_S:.3f}",
                "end": f"{moment_s:.3f}",
                "step": str(STEP_S),
            }
        path = f"{self.api}/{'query' if instant else 'query_range'}"
        request = Request(
            self.url + path,
            urlencode(form).encode(),
            {"Content-Type": "application/x-www-form-urlencoded"},
        )
        try:
            with urlopen(request, timeout=ANSWER_S) as answer:
                said = json.loads(answer.read())
        except HTTPError as error:
            with error:
                return Answer(error=error.read().decode())
        return Answer(result=tuple(said["data"]["result"]))


class Loki(Backend):
    api = "/loki/api/v1"
    ready = "/ready"

    def command(self) -> list[str]:
        config = yaml.safe_load((COMPOSE / "loki.yaml").read_text(encoding="utf-8"))
        text = yaml.safe_dump(
            config
            | {
                "server": {
                    "http_listen_address": "127.0.0.1",
                    "http_listen_port": self.port,
                    "grpc_listen_address": "127.0.0.1",
                    "grpc_listen_port": free_port(),
                    "log_level": "warn",
                }
            }
        ).replace("/loki", str(self.directory))
        file = self.directory / "loki.yaml"
        file.write_text(text, encoding="utf-8")
        # It would call itself ready after 15 s more.
        return [str(self._binary), f"-config.file={file}", "-ingester.min-ready-duration=0s"]


class Prometheus(Backend):
    """With the rules of `rules`, if given, which it looks at every second."""

    api = "/api/v1"
    ready = "/-/ready"

    def __init__(self, binary: Path, directory: Path, rules: Path | None = None) -> None:
        super().__init__(binary, directory)
        self._rules = rules

    def command(self) -> list[str]:
        config = yaml.safe_load((COMPOSE / "prometheus.yaml").read_text(encoding="utf-8"))
        if self._rules is not None:
            config |= {"rule_files": [str(self._rules)]}
            config["global"] |= {"evaluation_interval": "1s"}
        file = self.directory / "prometheus.yaml"
        file.write_text(yaml.safe_dump(config), encoding="utf-8")
        return [
            str(self._binary),
            f"--config.file={file}",
            f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--web.enable-otlp-receiver",
            "--log.level=warn",
        ]
