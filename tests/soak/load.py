"""Mixed load on a service, and what must be true of its answers."""

import random
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

PURPOSE = "content-generation-training"
RECORD = {
    "record_id": "r1", "category": "post", "visibility": "public", "authorship": "own",
    "context": "feed", "mentions": [], "written_at": "2025-06-01T00:00:00Z",
}  # fmt: skip


@dataclass
class Told:
    """What the service acknowledged.

    Attributes:
        choices: Index -> member and choice.
        admitted: Member, instant and size of every answer that permitted.
        statuses: How often each status was answered; 0 for no answer at all.
        wrong: What should not have been answered.
    """

    choices: dict[int, tuple[str, str]] = field(default_factory=dict)
    admitted: list[tuple[str, datetime, int]] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, status: int) -> None:
        """Count an answer."""
        with self.lock:
            self.statuses[status] = self.statuses.get(status, 0) + 1


@dataclass
class Load:
    """Callers of a service, each a thread with a client of its own.

    Attributes:
        credentials: Id and secret of a service client.
    """

    address: str
    credentials: tuple[str, str]
    members: list[str]
    told: Told = field(default_factory=Told)
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self, kind: str, seed: int) -> None:
        """Ask again and again until the end; `kind` is `choose` or `decide`."""
        dice = random.Random(seed)
        with httpx.Client(base_url=self.address, timeout=20) as client:
            token = ""
            while not self.ended.is_set():
                try:
                    token = token or self._token(client)
                    if token and not getattr(self, f"_{kind}")(client, token, dice):
                        token = ""
                except httpx.HTTPError:
                    self.told.note(0)
                    time.sleep(0.1)

    def _token(self, client: httpx.Client) -> str:
        answer = client.post(
            "/oauth2/token", data={"grant_type": "client_credentials"}, auth=self.credentials
        )
        if answer.status_code != 200:
            self.told.note(answer.status_code)
            time.sleep(0.2)
            return ""
        return str(answer.json()["access_token"])

    def _choose(self, client: httpx.Client, token: str, dice: random.Random) -> bool:
        """Say something, until it is acknowledged: the same request under the same key."""
        who, choice = dice.choice(self.members), dice.choice(["on", "off"])
        key = uuid.UUID(int=dice.getrandbits(128)).hex
        while True:
            try:
                answer = client.post(
                    f"/api/v1/members/{who}/choices", json={"choice": choice},
                    headers={"authorization": f"Bearer {token}", "idempotency-key": key},
                )  # fmt: skip
            except httpx.HTTPError:
                self.told.note(0)
                if self.ended.wait(0.1):
                    return True
                continue
            self.told.note(answer.status_code)
            if answer.status_code == 201:
                with self.told.lock:
                    self.told.choices[int(answer.json()["index"])] = (who, choice)
                return True
            if answer.status_code == 401:
                return False
            if answer.status_code not in {409, 503}:
                self._wrong("choose", answer)
                return True
            if self.ended.wait(0.2):
                return True

    def _decide(self, client: httpx.Client, token: str, dice: random.Random) -> bool:
        who = dice.choice(self.members)
        answer = client.post(
            "/api/v1/decisions", json={"member": who, "record": RECORD},
            headers={"authorization": f"Bearer {token}"},
        )  # fmt: skip
        self.told.note(answer.status_code)
        if answer.status_code == 200:
            found: dict[str, Any] = answer.json()
            if found["allow"]:
                with self.told.lock:
                    self.told.admitted.append(
                        (who, datetime.fromisoformat(found["at"]), int(found["known"]))
                    )
            return True
        if answer.status_code not in {401, 503}:
            self._wrong("decide", answer)
        time.sleep(0.1)
        return answer.status_code != 401

    def _wrong(self, what: str, answer: httpx.Response) -> None:
        with self.told.lock:
            self.told.wrong.append(f"{what}: {answer.status_code} {answer.text[:300]}")
