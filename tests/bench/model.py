#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What weftd's data threads would move on more cores than were at hand: a discrete-event model.

A train is one 64 KB super-packet of 45 packets of 1,420 bytes. Each step of its way has a cost in
microseconds, measured on two cores by tests/bench/steps.py. Threads run on cores, a
train's step at a time; more threads than cores wait in line. The receiving side follows
src/daemon/rx.c: the receiver does single trains by itself, publishes what comes in numbers, helpers
claim, and whoever holds the baton delivers in order.

It knows no caches, no interrupts, no other programs and no memory bandwidth: what it gives is what
the threads' order of work allows, not what a machine will do.
"""
import argparse
import collections
import heapq
import json
import random
import sys

TRAIN_BYTES = 45 * 1380  # TCP payload
SLOTS, BATCH, RUN_FLUSH = 32, 16, 16

# us a train: two cores of a Zen 3 server (AVX2, libipsec-mb), both ends on them, one TCP stream of
# 2.2 Gbit/s under perf. steps.py measures them anew.
MEASURED_GBITS = 2.17
STEPS = {
    "app_send": 21.4,   # iperf3's share, half of it at each end
    "tun_read": 14.2,
    "split": 7.9,
    "seal": 112.5,
    "send": 45.5,       # with the wire and the other end's way up to its socket
    "recv": 16.6,
    "open": 112.1,
    "deliver": 50.2,    # accept, coalesce, TUN write with the TCP behind it
    "app_recv": 21.4,
    "wake": 4.0,        # of one who wakes; from here on assumed
    "wake_delay": 8.0,  # until the woken one runs
    "claim": 0.2,       # claim, done and baton
}


class Machine:
    """Cores that run threads, one step at a time, first come first served."""

    def __init__(self, sim, cores):
        self.sim, self.free, self.line = sim, cores, collections.deque()
        self.busy_us = 0.0

    def run(self, cost, then):
        if self.free:
            self.free -= 1
            self.begin(cost, then)
        else:
            self.line.append((cost, then))

    def begin(self, cost, then):
        self.busy_us += cost
        self.sim.at(cost, lambda: self.end(then))

    def end(self, then):
        if self.line:
            self.begin(*self.line.popleft())
        else:
            self.free += 1
        then()


class Sim:
    """The clock, and one tunnel between two ends."""

    def __init__(self, near, far, threads, flows, steps, seed=0, window=16):
        self.now, self.events, self.count = 0.0, [], 0
        self.steps, self.window = steps, window
        self.near = Machine(self, near)
        self.far = self.near if far is None else Machine(self, far)
        self.n_tx = threads // 2
        self.n_rx = threads - self.n_tx
        # as a hash puts them, which is not evenly
        rng = random.Random(seed)
        self.queue_of = [rng.randrange(self.n_tx) for _ in range(flows)]
        self.queues = [collections.deque() for _ in range(self.n_tx)]
        self.tx_busy = [False] * self.n_tx
        self.credit, self.sending = [window] * flows, [False] * flows
        self.app_queue, self.app_busy = [0] * flows, [False] * flows
        self.socket = collections.deque()
        # the pipeline: positions that grow
        self.slot = {}
        self.published = self.claimed = self.delivered = 0
        self.done, self.baton = set(), False
        self.rx_busy = False
        self.awake = [False] * (self.n_rx - 1)
        self.finished = 0

    def at(self, delay, what):
        self.count += 1
        heapq.heappush(self.events, (self.now + delay, self.count, what))

    # ---- the end that sends ----

    def app_send(self, flow):
        if self.sending[flow] or not self.credit[flow]:
            return
        self.sending[flow] = True
        self.credit[flow] -= 1
        self.near.run(self.steps["app_send"], lambda: self.app_sent(flow))

    def app_sent(self, flow):
        self.sending[flow] = False
        queue = self.queue_of[flow]
        self.queues[queue].append(flow)
        self.tx(queue)
        self.app_send(flow)

    def tx(self, queue):
        if self.tx_busy[queue] or not self.queues[queue]:
            return
        self.tx_busy[queue] = True
        flow = self.queues[queue].popleft()
        cost = sum(self.steps[k] for k in ("tun_read", "split", "seal", "send"))
        self.near.run(cost, lambda: self.sent(queue, flow))

    def sent(self, queue, flow):
        self.tx_busy[queue] = False
        self.socket.append(flow)
        self.rx()
        self.tx(queue)

    # ---- the end that receives ----

    def rx(self):
        """The receiver, when it has nothing else to do."""
        if self.rx_busy:
            return
        room = SLOTS - (self.published - self.delivered)
        n = min(len(self.socket), room, BATCH)
        if n == 0:
            if self.n_rx > 1 and self.claimed < self.published:
                self.rx_busy = True
                self.open_one(self.rx_free)
            return
        self.rx_busy = True
        flows = [self.socket.popleft() for _ in range(n)]
        self.far.run(self.steps["recv"] * n, lambda: self.received(flows))

    def rx_free(self):
        self.rx_busy = False
        self.rx()

    def received(self, flows):
        if self.n_rx == 1:
            cost = self.steps["open"] + self.steps["deliver"]
            self.far.run(cost * len(flows), lambda: self.all_done(flows))
            return
        light = len(flows) == 1 and self.published == self.delivered
        for flow in flows:
            self.slot[self.published] = flow
            self.published += 1
        if light:
            self.open_one(self.rx_free)
            return
        asleep = [i for i, a in enumerate(self.awake) if not a][:len(flows)]
        for i in asleep:
            self.awake[i] = True
            self.at(self.steps["wake_delay"], lambda i=i: self.help(i))
        self.far.run(self.steps["wake"] * len(asleep), self.rx_free)

    def all_done(self, flows):
        for flow in flows:
            self.to_app(flow)
        self.rx_free()

    def help(self, i):
        if self.claimed == self.published:
            self.awake[i] = False
            return
        self.open_one(lambda: self.help(i))

    def open_one(self, then):
        position = self.claimed
        if position == self.published:
            then()
            return
        self.claimed += 1
        cost = self.steps["open"] + self.steps["claim"]
        self.far.run(cost, lambda: self.opened(position, then))

    def opened(self, position, then):
        self.done.add(position)
        self.deliver(then)

    def deliver(self, then):
        ready = 0
        while ready < RUN_FLUSH and self.delivered + ready in self.done:
            ready += 1
        if self.baton or ready == 0:
            then()
            return
        self.baton = True
        self.far.run(self.steps["deliver"] * ready, lambda: self.gave(ready, then))

    def gave(self, n, then):
        for position in range(self.delivered, self.delivered + n):
            self.done.discard(position)
            self.to_app(self.slot.pop(position))
        self.delivered += n
        self.baton = False
        self.rx()
        self.deliver(then)

    def to_app(self, flow):
        self.app_queue[flow] += 1
        self.app(flow)

    def app(self, flow):
        if self.app_busy[flow] or not self.app_queue[flow]:
            return
        self.app_busy[flow] = True
        self.app_queue[flow] -= 1
        self.far.run(self.steps["app_recv"], lambda: self.consumed(flow))

    def consumed(self, flow):
        self.app_busy[flow] = False
        self.finished += 1
        self.credit[flow] += 1
        self.app_send(flow)
        self.app(flow)

    def run(self, duration_us):
        for flow in range(len(self.credit)):
            self.app_send(flow)
        while self.events and self.now < duration_us:
            self.now, _, what = heapq.heappop(self.events)
            what()
        return self.finished * TRAIN_BYTES * 8 / self.now / 1e3  # Gbit/s


def default_threads(cores):
    """As src/daemon/threads.c."""
    return 16 if cores >= 16 else 2 if cores <= 2 else (cores + 1) // 2 * 2


def gbits(cores, flows, apart, steps, threads=None, duration_us=40000):
    """`apart`: each end has that many cores; else both ends share them. The mean over some ways in
    which the hash may spread the flows."""
    seeds = range(1 if flows == 1 else 8)
    return sum(Sim(cores, cores if apart else None, threads or default_threads(cores), flows,
                   steps, seed).run(duration_us) for seed in seeds) / len(seeds)


def table(steps, cores=range(1, 17)):
    return [{"cores": n, "threads": default_threads(n),
             "shared_1": gbits(n, 1, False, steps), "shared_8": gbits(n, 8, False, steps),
             "apart_1": gbits(n, 1, True, steps), "apart_8": gbits(n, 8, True, steps)}
            for n in cores]


def show(rows, out):
    out.write("| cores | data threads | one machine: 1 flow | 8 flows | a machine for each end: "
              "1 flow | 8 flows |\n|--:|--:|--:|--:|--:|--:|\n")
    for r in rows:
        out.write(f"| {r['cores']} | {r['threads']} | " + " | ".join(
            f"{r[k]:.1f}" for k in ("shared_1", "shared_8", "apart_1", "apart_8")) + " |\n")


def main():
    p = argparse.ArgumentParser(description="models weftd's throughput (TCP, Gbit/s) on 1 to 16 cores")
    p.add_argument("--steps", help="JSON file with the steps' costs, as steps.py writes it")
    p.add_argument("--json", help="write steps and rows there too")
    args = p.parse_args()
    steps = dict(STEPS)
    if args.steps:
        with open(args.steps) as f:
            steps.update(json.load(f)["steps"])
    rows = table(steps)
    show(rows, sys.stdout)
    if args.json:
        with open(args.json, "w") as f:
            json.dump({"steps": steps, "rows": rows}, f, indent=1)


if __name__ == "__main__":
    main()
