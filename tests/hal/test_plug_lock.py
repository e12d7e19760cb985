import pytest

from hal.drivers.plug_lock import SETTLE_S, TRIES, Coils, LockMotor

LOCK, UNLOCK, NONE = Coils(lock=True), Coils(unlock=True), Coils()


def test_nothing_moves_before_it_is_told_to():
    motor = LockMotor(pulse_s=0.4)
    assert motor.coils(0.0, feedback=False) == motor.coils(99.0, feedback=True) == NONE
    assert not motor.has_failed


@pytest.mark.parametrize(("locked", "coils"), [(True, LOCK), (False, UNLOCK)])
def test_a_pulse_moves_it_and_its_switch_is_believed_after_it(locked, coils):
    motor = LockMotor(pulse_s=0.4)
    motor.order(10.0, locked=locked)
    assert motor.coils(10.0, feedback=not locked) == coils
    assert motor.coils(10.39, feedback=not locked) == coils
    assert motor.coils(10.41, feedback=not locked) == NONE
    assert motor.is_moving
    assert motor.coils(10.41 + SETTLE_S, feedback=locked) == NONE
    assert not motor.is_moving
    assert not motor.has_failed


def test_a_lock_that_does_not_get_there_is_tried_again_and_has_then_failed():
    motor, pulses, now = LockMotor(pulse_s=0.4), 0, 0.0
    motor.order(now, locked=True)
    before = NONE
    while motor.is_moving:
        coils = motor.coils(now, feedback=False)
        pulses += coils == LOCK and before == NONE
        before, now = coils, now + 0.01
    assert (pulses, motor.has_failed) == (TRIES, True)
    motor.order(now, locked=True)
    motor.coils(now + 0.4 + SETTLE_S, feedback=True)
    assert not motor.has_failed


def test_without_a_switch_every_pulse_is_believed():
    motor = LockMotor(pulse_s=0.4)
    motor.order(0.0, locked=True)
    motor.coils(1.0, feedback=None)
    assert not motor.is_moving
    assert not motor.has_failed


def test_another_order_ends_the_one_before():
    motor = LockMotor(pulse_s=0.4)
    motor.order(0.0, locked=True)
    assert motor.coils(0.1, feedback=False) == LOCK
    motor.order(0.2, locked=False)
    assert motor.coils(0.2, feedback=False) == UNLOCK
    assert motor.coils(0.5, feedback=False) == UNLOCK
