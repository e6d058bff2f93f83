"""GPU memory is given out by what tests take of it: never two models are on a card that fits one."""

from __future__ import annotations

import threading
import time

from spacerun.gpu.devices import Device
from spacerun.smoke.cards import Cards
from spacerun.smoke.desk import Need

GIB = 1024**3


def device(number: int, free_gib: float) -> Device:
    return Device(number, f"GPU-{number}", "NVIDIA A10G", 24 * GIB, round(free_gib * GIB), 0)


def cards(*free_gib: float) -> Cards:
    devices = [device(number, free) for number, free in enumerate(free_gib)]
    return Cards(lambda: devices)


def need(gib: float | None, *gpus: int, together: bool = False) -> Need:
    return Need(tuple(f"GPU-{number}" for number in gpus), None if gib is None else round(gib * GIB), together)


def never() -> bool:
    return False


class Waiting:
    """Somebody who waits in a thread of his own."""

    def __init__(self, cards: Cards, need: Need) -> None:
        self.lease = None
        self._given_up = threading.Event()
        self._thread = threading.Thread(target=self._take, args=(cards, need), daemon=True)
        self._thread.start()

    def _take(self, cards: Cards, need: Need) -> None:
        self.lease = cards.take(need, self._given_up.is_set)

    def waits(self) -> bool:
        self._thread.join(0.1)
        return self._thread.is_alive()

    def got_it(self) -> bool:
        self._thread.join(5.0)
        return not self._thread.is_alive()

    def give_up(self) -> None:
        self._given_up.set()
        self._thread.join(2.0)
        assert not self._thread.is_alive()


def test_two_models_that_fit_one_card_together_share_it_and_a_third_waits() -> None:
    machine = cards(22)
    first, second = machine.take(need(10, 0), never), machine.take(need(11, 0), never)
    third = Waiting(machine, need(10, 0))
    assert third.waits()
    machine.give_back(second)
    assert third.got_it()
    assert (first.gpus, third.lease.gpus) == (("GPU-0",), ("GPU-0",))
    third.give_up()


def test_two_models_of_which_a_card_fits_one_are_never_on_it_together() -> None:
    machine = cards(22)
    first = machine.take(need(12, 0), never)
    second = Waiting(machine, need(12, 0))
    assert second.waits()
    machine.give_back(first)
    assert second.got_it()


def test_the_second_model_goes_to_the_second_card() -> None:
    machine = cards(22, 22)
    leases = [machine.take(need(12, 0, 1), never) for _ in range(2)]
    assert {lease.gpus for lease in leases} == {("GPU-0",), ("GPU-1",)}


def test_a_small_one_goes_beside_another_and_leaves_a_card_to_a_large_one() -> None:
    machine = cards(22, 22)
    first = machine.take(need(4, 0, 1), never)
    second = machine.take(need(4, 0, 1), never)
    large = machine.take(need(20, 0, 1), never)
    assert first.gpus == second.gpus
    assert large.gpus != first.gpus


def test_what_it_takes_is_unknown_so_it_gets_a_card_for_itself() -> None:
    machine = cards(22)
    alone = machine.take(need(None, 0), never)
    other = Waiting(machine, need(1, 0))
    assert other.waits()
    machine.give_back(alone)
    assert other.got_it()
    unknown = Waiting(machine, need(None, 0))
    assert unknown.waits()
    unknown.give_up()


def test_what_no_card_has_room_for_gets_one_alone_for_its_verdict() -> None:
    machine = cards(22)
    small = machine.take(need(4, 0), never)
    large = Waiting(machine, need(40, 0))
    assert large.waits()
    machine.give_back(small)
    assert large.got_it()
    assert large.lease.bytes is None
    assert Waiting(machine, need(1, 0)).waits()


def test_one_that_spreads_over_cards_waits_for_all_of_them() -> None:
    machine = cards(22, 22)
    one = machine.take(need(4, 1), never)
    spread = Waiting(machine, need(30, 0, 1, together=True))
    assert spread.waits()
    machine.give_back(one)
    assert spread.got_it()
    assert spread.lease.gpus == ("GPU-0", "GPU-1")


def test_memory_that_others_hold_is_not_given_out() -> None:
    devices = [device(0, 22)]
    machine = Cards(lambda: devices)
    machine.give_back(machine.take(need(20, 0), never))
    devices[0] = device(0, 10)  # somebody else's program came
    first = machine.take(need(8, 0), never)
    assert first.bytes == 8 * GIB
    assert Waiting(machine, need(8, 0)).waits()


def test_what_a_lease_uses_is_not_counted_twice() -> None:
    devices = [device(0, 22)]
    machine = Cards(lambda: devices)
    machine.take(need(10, 0), never)
    devices[0] = device(0, 12)  # the app that has the lease came to hold its memory
    assert machine.take(need(11, 0), never).bytes == 11 * GIB


def test_whoever_gives_up_gets_nothing_and_keeps_nothing() -> None:
    machine = cards(22)
    first = machine.take(need(20, 0), never)
    second = Waiting(machine, need(20, 0))
    assert second.waits()
    second.give_up()
    assert second.lease is None
    machine.give_back(first)
    assert machine.take(need(20, 0), never).gpus == ("GPU-0",)


def test_many_at_once_never_hold_more_than_there_is() -> None:
    machine, held, most = cards(22, 11), {"GPU-0": 0, "GPU-1": 0}, {"GPU-0": 0, "GPU-1": 0}
    lock = threading.Lock()

    def work(gib: int) -> None:
        lease = machine.take(need(gib, 0, 1), never)
        gpu = lease.gpus[0]
        with lock:
            held[gpu] += gib
            most[gpu] = max(most[gpu], held[gpu])
        time.sleep(0.01)
        with lock:
            held[gpu] -= gib
        machine.give_back(lease)

    threads = [threading.Thread(target=work, args=(1 + number % 9,)) for number in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most["GPU-0"] <= 22
    assert most["GPU-1"] <= 11
    assert max(most["GPU-0"], most["GPU-1"]) > 9, "none of them ran beside another"
