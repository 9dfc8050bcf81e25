// The faults that may happen around the product, by number: which tests show what each leads to, and what no test shows.
// Tests of this folder that begin with a number belong to its row without being named here.
// Checked by test/faults/catalogue.test.
export interface Row {
  readonly fault: string
  /** The tests that show what the fault leads to: by file, how their titles begin. */
  readonly shownBy?: Readonly<Record<string, ReadonlyArray<string>>>
  readonly notShown?: ReadonlyArray<string>
}

export const faults: Readonly<Record<string, Row>> = {
  F1: {
    fault: "409 Conflict, 409 AlreadyExists, 422",
    shownBy: {
      "test/controller/lifecycle/controller.cluster.test.ts": ["never adopts a stranger's Job"],
      "test/controller/pool/pool.cluster.test.ts": ["never adopts, cancels or gives its token to a stranger's task"],
      "test/kubernetes/client.cluster.test.ts": [
        "lets one of two writers of the same version win",
        "refuses every write that is meant for an object of another UID"
      ]
    }
  },
  F2: {
    fault: "429, 500, 502, 503, 504, a refused connection, a TLS error",
    shownBy: {
      "test/kubernetes/client.test.ts": ["obeys a short Retry-After for every verb", "leaves a long Retry-After to the caller"],
      "test/controller/lifecycle/leader.test.ts": [
        "looks at a task again no sooner than an overloaded API server asks for"
      ],
      "test/simulation/simulation.test.ts": [
        "a start goes on after the API server was away for longer than it may take, though the controller lost its lead meanwhile"
      ]
    },
    notShown: ["an outage of ten minutes of a real API server: three seconds are"]
  },
  F3: {
    fault: "a write happened and its answer is lost",
    shownBy: {
      "test/worker/task/claim.test.ts": ["is recognised by its nonce when the answer was lost"],
      "test/worker/task/report.test.ts": ["is written once through conflicts and answers that are lost"],
      "test/server/run/assignments.test.ts": [
        "counts as arrived once its token is used, though the acknowledgement was lost",
        "takes acknowledgements and results again, but no other result"
      ]
    }
  },
  F4: {
    fault: "a watch ends: in mid-line, by an ERROR event, by 410",
    shownBy: {
      "test/kubernetes/informer.test.ts": [
        "ends with the same objects, and reports the last change of each",
        "looks anew after 410",
        "does not open a watch again and again"
      ]
    },
    notShown: ["a revision that etcd itself compacted: the proxy says 410 in its place"]
  },
  F5: {
    fault: "a watch stalls with its connection open",
    shownBy: {
      "test/kubernetes/informer.test.ts": [
        "gives up a watch that stalls, and tells how long it has heard nothing",
        "lists for good where a watch that began with all objects $later without having said that these are all"
      ],
      "test/controller/lifecycle/health.test.ts": ["answers for the process, for its caches, and with its figures"]
    },
    notShown: ["half-open TCP without FIN or RST: the proxy's stall looks the same to the client"]
  },
  F6: { fault: "stale reads", notShown: ["two API servers of which one lags: the proxy shows the list and the watch of an older version"] },
  F7: {
    fault: "events doubled, missed, or of several kinds in another order",
    shownBy: { "test/kubernetes/informer.test.ts": ["ends with the same objects, and reports the last change of each"] }
  },
  F8: {
    fault: "clocks that jump or differ",
    shownBy: {
      "test/kubernetes/lease.test.ts": ["waits a whole duration after it last saw a change, even if the holder's clock says"],
      "test/worker/task/stop.test.ts": [
        "comes with the time of the stage",
        "is too late for all but the result when most of the grace is over"
      ]
    },
    notShown: ["a step of the system clock of a node under a running stage"]
  },
  F9: {
    fault: "the controller dies between any two of its writes",
    shownBy: {
      "test/controller/pool/pool.cluster.test.ts": ["loses no run when it stops between any two steps"],
      "test/simulation/crash-points.test.ts": ["in ${name} ends as without it"],
      "test/simulation/crash-pairs.test.ts": ["in ${name} ends as without both"],
      "test/end-to-end/disruption.alone.test.ts": ["goes on to its end when the controller is killed while it plans"]
    },
    notShown: [
      "two crashes of other kinds than processes that die, in six of the nine scripts",
      "three crashes at chosen requests of one run: the schedules of the simulation have any number of them, at random"
    ]
  },
  F10: {
    fault: "two controllers, and a leader that was held up",
    shownBy: {
      "test/controller/lifecycle/controller.cluster.test.ts": ["works once when two replicas run"],
      "test/kubernetes/lease.test.ts": [
        "never has two leaders, and always one again",
        "stops at once when another one holds the lease, and when it is deleted"
      ]
    }
  },
  F11: {
    fault: "the node is lost while it applies",
    shownBy: {
      "test/core/reconcile/plan.laws.test.ts": ["leaves a claimed stage alone while its node does not answer, or its Pod is not ready"],
      "test/core/reconcile/pod-end.test.ts": ["blames $given on $reason"],
      "test/simulation/simulation.test.ts": ["an apply whose node is lost says so"],
      "test/controller/lifecycle/controller.cluster.test.ts": ["ends a claimed task whose Pod is gone as lost, and never starts it again"],
      "test/kill-matrix/outages.kills.test.ts": ["whose node does not answer says so", "whose Pod has no network for over a minute"]
    },
    notShown: [
      "a node that is silent for more than five minutes, when Kubernetes evicts all Pods that do not tolerate it for ever: an apply's Pod does",
      "a machine that loses its power, and a real node with the taint out-of-service: what Kubernetes then says of its Pods is"
    ]
  },
  F12: {
    fault: "eviction, drain, a volume over its limit",
    shownBy: {
      "test/end-to-end/cancel.node.test.ts": [
        "whose Pod is deleted while it applies is interrupted once, keeps its state and fails as Evicted",
        "whose Pod gets less time than its own, as on a node that shuts down, is interrupted once"
      ],
      "test/end-to-end/start-up.alone.test.ts": ["fills its volume is Evicted; the run says so, and keeps its state"],
      "test/end-to-end/drain.alone.test.ts": ["takes a plan, which is planned again, and waits for an apply"],
      "test/core/reconcile/pod-end.test.ts": ["blames $given on $reason"],
      "test/core/reconcile/plan.laws.test.ts": ["never calls anything a success without the worker's own result"]
    },
    notShown: ["pressure of memory on a real node", "an eviction at each of twenty points of one stage", "a preemption by a real scheduler"]
  },
  F13: {
    fault: "the runner is out of memory",
    shownBy: {
      "test/runner/exec-loop.test.ts": ["ends what a loop that died was running though no other comes"],
      "test/worker/stage/worker.cluster.test.ts": [
        "ends the stage with OutOfMemory when its container is started again, and runs nothing twice"
      ],
      "test/end-to-end/bad-input.node.test.ts": ["has too little memory is OutOfMemory"]
    }
  },
  F14: {
    fault: "the worker is out of memory or crashes",
    shownBy: {
      "test/runner/exec-loop.test.ts": ["interrupts the command once when its worker dies, lets it write on, and starts nothing more"],
      "test/core/reconcile/claimed.test.ts": ["ends a Pod that another container keeps once its worker has died"],
      "test/cli/terminal/serve.test.ts": ["goes on to its end when the reader of its log goes away"]
    },
    notShown: ["too few descriptors, and an event loop that is blocked for minutes"]
  },
  F15: {
    fault: "the Pod cannot start",
    shownBy: {
      "test/end-to-end/start-up.alone.test.ts": [
        "waits for an image says which, and ends as ImagePull",
        "refers to a Secret that is not there says so",
        "fits on no node says why, and ends as StartupTimeout"
      ],
      "test/end-to-end/bad-input.node.test.ts": ["is an image with an impossible name is ImagePull at once"]
    }
  },
  F16: {
    fault: "refused by a quota, a policy, a webhook, a role",
    shownBy: {
      "test/controller/lifecycle/controller.cluster.test.ts": [
        "queues what a quota refuses, with the quota's name",
        "queues what a policy without a reason denies, Job or Lease, with its words",
        "explains a Job whose Pod a quota refuses",
        "explains a Job whose Pod cannot be made at all"
      ]
    },
    notShown: ["a webhook that is really there: the proxy says what one would"]
  },
  F17: {
    fault: "the disk is full",
    shownBy: {
      "test/worker/stage-failed.test.ts": ["is DiskFull for a real write to a real full device"],
      "test/server/durability.test.ts": ["is one clear sentence, loses nothing that was acknowledged, and ends with the room"],
      "test/server/spare-room.test.ts": [
        "an apply at work saves its log, its states, its journal and its result, also where a refused state has to be kept"
      ],
      "test/end-to-end/bad-input.node.test.ts": ["finds the disk full is DiskFull"]
    },
    notShown: ["a file system that turns read-only, and, but for the server's, one without inodes"]
  },
  F18: {
    fault: "the worker dies at each of its steps",
    shownBy: {
      "test/worker/task/claim.cluster.test.ts": ["is lost with exit code 75 by a container that the kubelet started twice in one Pod"]
    }
  },
  F19: {
    fault: "the server and its database",
    shownBy: {
      "test/server/durability.test.ts": ["survives SIGKILL in the middle of state pushes, log appends and new runs"],
      "test/server/lifecycle/server.test.ts": [
        "refuses a database that another server has open",
        "keeps runs, logs, saved plans, states, locks, tokens",
        "refuses a file that is no database"
      ],
      "test/simulation/crash-points.test.ts": ["in ${name} ends as without it"],
      "test/simulation/crash-pairs.test.ts": ["in ${name} ends as without both"]
    },
    notShown: [
      "bits that flip in a page, and a log of the database that is cut at every byte",
      "a crash of the server at each commit of what a person asks for, and of its upkeep"
    ]
  },
  F20: {
    fault: "a partition between worker and server",
    shownBy: {
      "test/worker/backing/pool-backing.cluster.test.ts": [
        "keeps its log and its state through an outage of the server in the middle of an apply",
        "says where the state is when the server keeps it as evidence"
      ],
      "test/worker/engine/log-shipper.test.ts": ["is marked where something had to be dropped, and keeps its end"]
    },
    notShown: [
      "a name that is not found any more, and a certificate that runs out, under a stage: a refused connection is, which the worker waits out in the same way"
    ]
  },
  F21: {
    fault: "objects vanish",
    shownBy: {
      "test/controller/lifecycle/controller.cluster.test.ts": ["fails a task whose Job was deleted before the claim"],
      "test/controller/pool/pool.cluster.test.ts": ["cancels the task of a cancelled run, and the run of a deleted task"],
      "test/end-to-end/cancel.node.test.ts": ["while it applies for a run ends in order, tells the run, and goes away"]
    },
    notShown: ["a Job that is deleted with its Pods left behind (orphan): the simulation deletes it with them, or keeps it by a finalizer"]
  },
  F22: {
    fault: "Kubernetes itself runs twice",
    shownBy: {
      "test/end-to-end/pod.node.test.ts": ["that comes second exits with 75 and runs nothing, and the first one does not notice"],
      "test/worker/task/claim.cluster.test.ts": [
        "lets one of sixty-four that race have the task",
        "is lost with exit code 75 by a container"
      ],
      "test/core/manifest/job.test.ts": ["never lets Kubernetes run a stage twice"]
    },
    notShown: [
      "a kubelet that is killed right after it started a container: two starts of the worker in one Pod are shown in its place",
      "an event that tells of the second Pod: there is none, and the exit code and the log of its worker say it"
    ]
  },
  F23: {
    fault: "a stop, a cancel or the end of a token in the middle of an apply",
    shownBy: {
      "test/worker/task/stop.cluster.test.ts": [
        "gets one interrupt for a cancel, a SIGTERM and another cancel",
        "is ended by force when it does not listen, within the grace"
      ],
      "test/core/stage/signal-plan.test.ts": ["is one interrupt at once, then TERM, then KILL, all within the grace"],
      "test/kubernetes/credentials.test.ts": ["follow the token file after a minute, and at once when told that they were refused"],
      "test/worker/network/task-api.test.ts": ["says TokenRefused only after it has read the token again"]
    },
    notShown: ["SIGTERM at each quarter of a second of one apply"]
  },
  F24: {
    fault: "hostile or malformed input",
    shownBy: {
      "test/worker/volume/archive.test.ts": ["ends 10 GB of zeros early: before anything of a file that is too large by itself is written"],
      "test/worker/engine/exec-loop-hostile.test.ts": [
        "does not grow by a flood of answers",
        "makes a command wait that writes faster than its output is read"
      ],
      "test/worker/volume/folder.test.ts": ["is not left through a link, by writing or reading"],
      "test/kubernetes/informer.test.ts": ["leaves out an object it cannot use, and no other"],
      "test/end-to-end/hostile.node.test.ts": [
        "that leaves links and pipes where the worker reads, and can make no device there, harms only its own run",
        "that says to worker and exec loop, in every pipe between them, that all ended well changes no result, exit code or state"
      ],
      "test/end-to-end/start-up.alone.test.ts": [
        "by a flood of processes that heed no signal is killed at its limit, and its worker reports that"
      ]
    },
    notShown: ["objects that were written into etcd past the API server"]
  }
}

/** Mistakes that other projects made, and that this one could have made too. */
export const mistakes: Readonly<Record<string, Row>> = {
  R1: {
    fault: "slots leak when a task fails before it starts",
    shownBy: {
      "test/core/scheduling/admit.test.ts": ["gives every task without a slot a turn, and somebody a start while there is room"],
      "test/controller/world/turns.test.ts": ["gives the slot back when the Job was refused, and when the task is over"]
    }
  },
  R2: {
    fault: "finished Jobs, found after a restart, make it drop work that is offered again",
    shownBy: { "test/controller/pool/pool.cluster.test.ts": ["loses no run when it stops between any two steps"] }
  },
  R3: {
    fault: "Jobs are made again and again for what is over",
    shownBy: { "test/core/reconcile/plan.laws.test.ts": ["never starts what was cancelled, deleted or is over"] }
  },
  R4: {
    fault: "the Job of a task that was cancelled before it started stays",
    shownBy: {
      "test/controller/lifecycle/controller.cluster.test.ts": [
        "cancels before the claim: the task ends, its Job goes, and no claim can follow"
      ]
    }
  },
  R5: {
    fault: "one container failed and the other runs on for a week",
    shownBy: {
      "test/worker/stage/worker.cluster.test.ts": ["says so when it has no exec loop"],
      "test/end-to-end/start-up.alone.test.ts": ["has a runner without a shell says so"]
    }
  },
  R6: {
    fault: "a Job that makes no Pod is not reported",
    shownBy: {
      "test/controller/lifecycle/controller.cluster.test.ts": ["explains a Job whose Pod cannot be made at all, in the server's words"]
    }
  },
  R7: {
    fault: "values from Secrets are printed into the log",
    shownBy: {
      "test/worker/stage/provision.test.ts": ["takes the values of Secrets from the Pod, and treats them as secret"],
      "test/worker/stage/worker.cluster.test.ts": [
        "gives the engine every value as it is, over those of the configuration, and hides what is secret"
      ]
    },
    notShown: ["a Secret that the values give every runner as a whole (extraEnvFrom): the log does not hide it, as docs/security.md says"]
  },
  R8: {
    fault: "a Pod that is gone is made again, or its exit code 0 is taken for a success",
    shownBy: {
      "test/controller/lifecycle/controller.cluster.test.ts": ["ends a claimed task whose Pod is gone as lost, and never starts it again"],
      "test/core/reconcile/plan.laws.test.ts": [
        "never starts what was claimed",
        "never calls anything a success without the worker's own result"
      ]
    }
  },
  R9: {
    fault: "the runner is killed for want of memory, and the stage goes on for ever",
    shownBy: {
      "test/end-to-end/bad-input.node.test.ts": ["has too little memory is OutOfMemory"],
      "test/worker/stage/worker.cluster.test.ts": ["ends the stage with OutOfMemory when its container is started again"]
    }
  },
  R10: {
    fault: "what ran on a drained node is shown as running for ever",
    shownBy: {
      "test/end-to-end/drain.alone.test.ts": [
        "takes a plan, which is planned again, and waits for an apply",
        "that meets an apply before its claim has it launched again"
      ],
      "test/end-to-end/cancel.node.test.ts": [
        "whose Pod is deleted while it applies is interrupted once, keeps its state and fails as Evicted"
      ]
    },
    notShown: ["a drain at each second of an apply"]
  },
  R11: {
    fault: "the result is there, and the process goes on for hours in its slot",
    shownBy: {
      "test/core/reconcile/over.test.ts": ["looks at the Job of a task that is over when it may be left over"],
      "test/core/manifest/job.test.ts": ["ends some time after the task's own timeout, start and grace"],
      "test/worker/task/stop.cluster.test.ts": [
        "ends with DeadlineExceeded when $given",
        "is ended by force when it does not listen, within the grace"
      ]
    }
  },
  R12: {
    fault: "a Pod that takes long to start counts as capacity, and nobody says what it waits for",
    shownBy: {
      "test/core/reconcile/start.test.ts": ["tells of a start that takes longer than most"],
      "test/end-to-end/start-up.alone.test.ts": [
        "waits for an image says which, and ends as ImagePull",
        "fits on no node says why, and ends as StartupTimeout"
      ]
    }
  },
  R13: {
    fault: "a restart of the controller kills what runs, and a SIGTERM does not reach the engine",
    shownBy: {
      "test/end-to-end/disruption.alone.test.ts": [
        "is applied and reported while there is no controller at all",
        "is applied undisturbed while another controller takes the place"
      ],
      "test/worker/task/stop.cluster.test.ts": ["gets one interrupt for a cancel, a SIGTERM and another cancel"]
    },
    notShown: ["a rollout of the controller under twenty applies: one is undisturbed"]
  },
  R14: {
    fault: "a lock outlives its holder, and nobody can tell",
    shownBy: {
      "test/core/scheduling/workspace-lease.test.ts": ["names the task and the node as far as they are known: $by"],
      "test/controller/reconcile/workspace-holder.test.ts": [
        "is held by it as long as one Pod of it is there",
        "is not held by a Pod that has surely ended: one $given is left: $left"
      ],
      "test/server/workspace/state-locks.test.ts": ["ends with the stage that holds it, so that nobody is stuck behind it"]
    }
  },
  R15: {
    fault: "a pass waits for ever on a call that never answers",
    shownBy: { "test/kubernetes/client.test.ts": ["ends a call that is never answered"] }
  },
  R16: {
    fault: "a plan or a state is too large for the object of Kubernetes that holds it",
    shownBy: {
      "test/server/regressions.test.ts": ["a plan or a state of 64 MiB did not fit"],
      "test/server/access/limits.test.ts": ["are read only as there is room for them"]
    }
  },
  R17: {
    fault: "a stale copy of what is over makes its Pod again",
    shownBy: {
      "test/core/regressions.test.ts": ["a copy of a finished task in a cache, hours old, had its Pod made again"],
      "test/controller/regressions.cluster.test.ts": [
        "a task was run again that had finished, but that a stale cache still showed as $seen"
      ]
    }
  },
  R18: {
    fault: "a Pod is made twice, or a container is started twice in one Pod",
    shownBy: {
      "test/worker/task/claim.cluster.test.ts": ["is lost with exit code 75 by a container that the kubelet started twice in one Pod"],
      "test/worker/stage/worker-process.cluster.test.ts": ["exits with 75 when $given, with no engine started and the claim as it was"]
    }
  },
  R19: {
    fault: "an evicted Pod, or one whose node was started anew, is recorded as a success",
    shownBy: {
      "test/core/reconcile/plan.laws.test.ts": ["never calls anything a success without the worker's own result"],
      "test/end-to-end/start-up.alone.test.ts": ["fills its volume is Evicted; the run says so, and keeps its state"]
    },
    notShown: ["a node that is started anew under a stage"]
  },
  R20: {
    fault: "an interrupted Pod leaves half a result, and its run never ends",
    shownBy: {
      "test/core/task/seen.test.ts": ["reads the worker's last words, and nothing into other words"],
      "test/core/reconcile/pod-end.test.ts": [
        "adds what the worker said last, on one line, unless that is a result that cannot be read"
      ],
      "test/simulation/crash-points.test.ts": ["in ${name} ends as without it"]
    }
  },
  R21: {
    fault: "random names and a failed status write make duplicates",
    shownBy: {
      "test/core/task/job-name.test.ts": ["differs for different tasks"],
      "test/core/reconcile/launches.test.ts": ["counts a first launch that failed before it was told of"]
    }
  },
  R22: {
    fault: "the Pod of a retry is made while the first one still lives",
    shownBy: {
      "test/core/regressions.test.ts": [
        "a retry's Pod was made while the first one still lived",
        "the next attempt was made before there was evidence of the last one's end"
      ]
    }
  },
  R23: {
    fault: "a child fails, comes back and succeeds, and its parent stays failed",
    shownBy: {
      "test/core/regressions.test.ts": ["a task that failed was brought back by a child that recovered"],
      "test/server/regressions.test.ts": ["a stage was reported as failed, came back and succeeded"]
    }
  },
  R24: {
    fault: "a system's token is sent to a URL of the user, and a user's text becomes a flag",
    shownBy: {
      "test/worker/network/archive-url.test.ts": ["takes an archive whose digest is right, with no credential sent"],
      "test/core/stage/cli-configuration.test.ts": ["has the token of a mirror's host, and of no other"],
      "test/core/stage/stage-commands.test.ts": ["make no flag of what a user wrote"]
    }
  },
  R25: {
    fault: "a cancelled run is given out again, and a start that failed is tried again at once",
    shownBy: {
      "test/core/regressions.test.ts": ["a run went from cancelled to allocated"],
      "test/server/regressions.test.ts": [
        "a cancelled run was given out again",
        "a stage whose start failed was tried again at once, and again"
      ]
    }
  },
  R26: {
    fault: "agents race for a stage, and a run that is over keeps its workspace",
    shownBy: {
      "test/server/regressions.test.ts": [
        "agents raced for one stage, and two of them ran it",
        "a run ended as $end and kept its workspace, or the lock of its state"
      ],
      "test/worker/task/claim.cluster.test.ts": ["lets one of sixty-four that race have the task"]
    }
  },
  R27: {
    fault: "the route that reports failures is broken itself",
    shownBy: {
      "test/end-to-end/runs.node.test.ts": ["that fails while it applies says why, exits with 1"],
      "test/worker/task/report.test.ts": [
        "goes to the status although the pool never answers",
        "goes to the pool although the status cannot be written"
      ]
    }
  },
  R28: {
    fault: "a workspace is deleted under its runs, and later ones hang",
    shownBy: {
      "test/server/tfe/tfe-workspace-routes.test.ts": ["deletes no workspace"],
      "test/core/reconcile/plan.laws.test.ts": ["explains every wait"]
    }
  },
  R29: {
    fault: "attempts are capped for each run, and runs are made for ever",
    shownBy: {
      "test/core/reconcile/plan.laws.test.ts": ["never makes a Job while one is there, while it waits, or past the limit of launches"],
      "test/core/reconcile/follow.test.ts": ["that was disrupted is made three times more"],
      "test/server/run/stage-ends.test.ts": ["is planned again three times"],
      "test/simulation/simulation.test.ts": [
        "a plan that fails is made once, of a source or of a run, however often the controller starts anew"
      ]
    }
  },
  R30: {
    fault: "the result of another attempt is taken for this one's",
    shownBy: {
      "test/server/regressions.test.ts": ["the result, plan or log of another attempt was taken for this one's"]
    }
  },
  R31: {
    fault: "a deletion hangs behind a task that fails",
    shownBy: {
      "test/end-to-end/cancel.node.test.ts": [
        "while it applies for a run ends in order, tells the run, and goes away",
        "without a pool takes its Job and Pod along"
      ]
    }
  },
  R32: {
    fault: "a busy Pod is evicted, and its work is done again",
    shownBy: {
      "test/end-to-end/drain.alone.test.ts": ["takes a plan, which is planned again, and waits for an apply"],
      "test/core/manifest/job.test.ts": ["takes what the task's own template may change, and no more"],
      "test/core/reconcile/plan.laws.test.ts": ["never starts what was claimed"]
    },
    notShown: ["an autoscaler that heeds the Pod's annotations: they are on it"]
  },
  R33: {
    fault: "Kubernetes makes two Pods for one Job, and ends the one that works with the other",
    shownBy: {
      "test/core/manifest/job.test.ts": [
        "never lets Kubernetes run a stage twice",
        "has rules of the values after the one that spares the winner of a claim"
      ],
      "test/end-to-end/pod.node.test.ts": ["that comes second exits with 75 and runs nothing, and the first one does not notice"]
    }
  },
  R34: {
    fault: "a Pod that cannot be set up stays pending for ever",
    shownBy: {
      "test/core/reconcile/start-trouble.test.ts": ["says why the node cannot set the Pod up: %s"],
      "test/end-to-end/start-up.alone.test.ts": ["fits on no node says why, and ends as StartupTimeout"]
    }
  },
  R35: {
    fault: "a node is lost under an apply, which its Job then runs again"
  },
  R36: {
    fault: "a policy that closes the metadata service takes DNS along",
    shownBy: {
      "test/core/network/network-policy.test.ts": [
        "leave %s open for DNS, where a cloud's resolver is",
        "and all that is link-local are reached by nobody, at no port but that of DNS"
      ]
    }
  },
  R37: {
    fault: "an apply meant for one object makes or changes another of its name",
    shownBy: {
      "test/kubernetes/client.cluster.test.ts": ["refuses every write that is meant for an object of another UID, and creates nothing"]
    }
  }
}
