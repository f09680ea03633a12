"""Which role a server has in its shard: it stands by until it is elected and leads until it is deposed.

Each role and term begins anew from the journal; nothing is carried over but the desk that the interfaces ask. Where
nobody else can lead (embedded), there is one term, and its end is the server's.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from gaia_core.coordinator.archives import Archives
from gaia_core.coordinator.desk import Desk
from gaia_core.coordinator.loop import Clock
from gaia_core.coordinator.meter import Meter
from gaia_core.coordinator.reign import Duties, Reign
from gaia_core.coordinator.snapshots import Snapshots
from gaia_core.coordinator.standby import Standby
from gaia_core.coordinator.standing import Standing
from gaia_core.coordinator.upkeep import Taker
from gaia_core.errors import Bug, GaiaError, JournalCorrupt, Unavailable
from gaia_core.ports import CoordinatorBus, Election, EventLog, Journal, LogTap, SetAside, Store, nowhere
from gaia_core.version import VERSION

STAND_AGAIN_S: Final = 2.0
"""Pause before a server whose term ended by itself stands for election again."""

STEP_DOWN_S: Final = 4.0
"""How long an election waits for a deposed leader; what it still writes then is void for every reader."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Backing:
    """What a server stands on; what belongs to one term or role is opened for it.

    Attributes:
        open_election: None where nobody else can lead.
        own_bucket: holds all data spaces.
        snapshots: to begin from; None where there are none.
        open_taker: for who takes further ones; None to take none.
        buckets: others that Keys may name; None for any.
        set_aside: keeps records that nobody can use, where strangers can write any.
        deployment: name by which attempts mark what they store.
        log_tap: where it is read what attempts write, as they go; None for nowhere.
    """

    open_journal: Callable[[], Journal]
    open_bus: Callable[[], CoordinatorBus]
    open_event_log: Callable[[], EventLog]
    open_election: Callable[[], Election] | None
    store: Store
    own_bucket: str
    buckets: frozenset[str] | None
    set_aside: SetAside = nowhere
    deployment: str = ""
    snapshots: Snapshots | None = None
    open_taker: Callable[[], Taker] | None = None
    log_tap: LogTap | None = None


class Office:
    """Opens terms and roles one after the other: stands by until elected, leads until deposed.

    Args:
        backing: what terms stand on.
        desk: told who answers.
        duties: how to lead.
        clock: the time.
        address: by which clients reach this server.

    Attributes:
        role: "leader", "standby", or "" in between.
        meter: counts what this server does, whichever its role.
    """

    def __init__(self, backing: Backing, desk: Desk, duties: Duties, clock: Clock, address: str) -> None:
        self.role = ""
        self._backing = backing
        self._desk = desk
        self._duties = duties
        self._clock = clock
        self._address = address
        self._changed = threading.Condition()
        self._leaving = False
        self._is_elected = backing.open_election is None
        self.meter = Meter()
        self._reign: Reign | None = None
        self._standby: Standby | None = None
        self._end: GaiaError | None = None

    @property
    def refused(self) -> Mapping[str, int]:
        """Return how many reports did not count in this server's term, by cause."""
        reign = self._reign
        return reign.refused if reign is not None else {}

    @property
    def standing(self) -> Standing | None:
        """Return how this server stands in its role, or None in between; from any thread."""
        reign, standby = self._reign, self._standby
        if self.role == "leader" and reign is not None:
            return reign.standing
        return standby.standing if self.role == "standby" and standby is not None else None

    @property
    def troubles(self) -> Mapping[str, str]:
        """Return why workers take nothing new, by their names, as far as this server leads."""
        reign = self._reign
        return reign.troubles if reign is not None else {}

    def hold(self, ready: Callable[[str], None]) -> None:
        """Lead and stand by until `leave`.

        Raises:
            GaiaError: this server cannot go on. Where others may lead, that is only a Bug or a wrong setting.
        """
        if self._backing.open_election is None:
            self._lead(ready)
            return
        while not self._leaving:
            election = self._backing.open_election()
            election.stand(self._elected, self._deposed)
            try:
                self._take_turns(ready)
            except Unavailable as error:
                log.warning("left office", extra={"cause": error.message})
            finally:
                election.close()
                self._is_elected = False
            self._pause()

    def leave(self) -> None:
        """Make `hold` return once the role of now has ended; from any thread."""
        with self._changed:
            self._leaving = True
            self._changed.notify_all()

    def _take_turns(self, ready: Callable[[str], None]) -> None:
        """Stand by until elected, lead until deposed, and so on.

        Raises:
            Unavailable: the term ended by itself; somebody else should have a chance.
        """
        while not self._leaving:
            self._stand_by(ready)
            if self._is_elected and not self._leaving:
                self._lead(ready)

    def _stand_by(self, ready: Callable[[str], None]) -> None:
        """Follow the journal and answer what only reads, until elected."""
        with closing(self._backing.open_journal()) as journal:
            archives = Archives(self._backing.store, self._backing.deployment, self._duties.rules)
            standby = Standby(journal, self._backing.snapshots, archives, may_lose=self._duties.may_lose)
            self._end = None
            self._standby = standby
            following = threading.Thread(target=self._guarded, args=(standby.run,), name="standby")
            following.start()
            try:
                self._desk.seat(standby)
                self._enter("standby", ready)
                self._await(lambda: self._is_elected)
            finally:
                self._exit()
                standby.stop()
                following.join()

    def _lead(self, ready: Callable[[str], None]) -> None:
        """Lead until deposed.

        Raises:
            GaiaError: what ended the term, unless somebody else was elected.
        """
        backing = self._backing
        self._end = None
        with closing(backing.open_journal()) as journal, closing(backing.open_bus()) as bus:
            reign = Reign(
                journal,
                bus,
                backing.open_event_log,
                backing.store,
                self._clock,
                self._duties,
                self._ended,
                backing.set_aside,
            )
            reign.count_for(self.meter)
            self._reign = reign
            taker = backing.open_taker() if backing.open_taker is not None else None
            try:
                self._desk.seat(reign)  # what is asked while it replays the journal waits for it
                reign.open(self._address, VERSION, backing.snapshots, taker)
                self._enter("leader", ready)
                self._await(lambda: not self._is_elected)
            finally:
                self._exit()
                reign.close()
                self._reign = None

    def _enter(self, role: str, ready: Callable[[str], None]) -> None:
        self.role = role
        log.info("serves", extra={"role": role})
        ready(role)

    def _exit(self) -> None:
        """Let nobody answer, and let the election go on."""
        self._desk.seat(None)
        with self._changed:
            self.role = ""
            self._changed.notify_all()

    def _await(self, is_over: Callable[[], bool]) -> None:
        """Wait until the role is over.

        Raises:
            GaiaError: it ended by itself.
        """
        with self._changed:
            self._changed.wait_for(lambda: is_over() or self._leaving or self._end is not None)
        if self._end is not None:
            raise self._end

    def _pause(self) -> None:
        """Let others be elected before standing again."""
        with self._changed:
            self._changed.wait_for(lambda: self._leaving, STAND_AGAIN_S)

    def _guarded(self, run: Callable[[], None]) -> None:
        try:
            run()
        except JournalCorrupt as error:
            log.error("the journal cannot be read", extra={"cause": error.message})  # noqa: TRY400
            self._ended(error)
        except Exception as error:
            log.exception("a role broke")
            self._ended(error if isinstance(error, GaiaError) else Bug(f"The standby broke: {error!r}"))

    def _ended(self, error: GaiaError) -> None:
        with self._changed:
            self._end = self._end or error
            self._changed.notify_all()

    def _elected(self) -> None:
        with self._changed:
            self._is_elected = True
            self._changed.notify_all()

    def _deposed(self) -> None:
        """Note that somebody else is to lead, and wait until this server has stopped, though not for ever."""
        with self._changed:
            self._is_elected = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.role != "leader", STEP_DOWN_S)
