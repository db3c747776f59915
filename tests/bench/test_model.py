# SPDX-License-Identifier: Apache-2.0
# The model against what was measured, and against what must be so whatever the costs are.
import model


def test_two_cores_as_measured():
    """Within a fifth of the figure that the steps' costs were taken from."""
    got = model.gbits(2, 1, False, model.STEPS)
    assert abs(got - model.MEASURED_GBITS) < model.MEASURED_GBITS / 5, got


def test_same_every_time():
    assert model.gbits(4, 8, True, model.STEPS) == model.gbits(4, 8, True, model.STEPS)


def test_no_thread_does_more_than_it_can():
    """One flow is sent by one thread; delivery is one thread's at a time."""
    s = model.STEPS
    alone = s["tun_read"] + s["split"] + s["seal"] + s["send"]
    for cores in (2, 4, 8, 16):
        most = model.TRAIN_BYTES * 8 / 1e3
        assert model.gbits(cores, 1, True, s) <= most / alone * 1.02
        assert model.gbits(cores, 8, True, s) <= most / s["deliver"] * 1.02


def test_nothing_is_lost_between_the_steps():
    sim = model.Sim(4, 4, 4, 8, model.STEPS)
    sim.run(20000)
    waiting = sum(map(len, sim.queues)) + len(sim.socket) + sum(sim.app_queue) + \
        sim.published - sim.delivered
    assert sim.finished > 100 and waiting <= 8 * sim.window
    assert not sim.done or min(sim.done) >= sim.delivered
    assert sim.published - sim.delivered <= model.SLOTS


def test_more_cores_help_many_flows():
    got = [model.gbits(n, 8, True, model.STEPS) for n in (2, 4, 8, 16)]
    assert got[0] * 1.6 < got[1] and got[1] * 1.4 < got[2] and got[2] < got[3]


def test_opening_is_spread():
    """With sending made cheap, one outer flow is opened by several cores."""
    s = dict(model.STEPS, tun_read=1, split=1, seal=10, send=5, deliver=20)
    assert model.gbits(8, 1, True, s) > 2.5 * model.gbits(2, 1, True, s)
