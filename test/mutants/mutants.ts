// Deliberate bugs, one line each, and the fast test that has to catch each of them.
// Invariant: `from` is in the file exactly once, or the mutant is out of date and the run says so.
// Planted one at a time by test/mutants/main.
export interface Mutant {
  readonly name: string
  readonly file: string
  readonly from: string
  readonly to: string
  /** The path of the test file, below `test`. */
  readonly test: string
}

const situation = "src/core/reconcile/situation.ts"
const execute = "src/controller/reconcile/execute.ts"
const claim = "src/worker/task/claim.ts"
const admit = "src/core/scheduling/admit.ts"
const job = "src/core/manifest/job.ts"
const pod = "src/core/manifest/pod.ts"
const laws = "core/reconcile/plan.laws.test.ts"
const schedules = "simulation/simulation.test.ts"
const crashes = "simulation/crash-points.test.ts"
const pairs = "simulation/crash-pairs.test.ts"

export const mutants: ReadonlyArray<Mutant> = [
  // what happens next
  {
    name: "an apply without a pool begins after one of its workspace that was lost",
    file: "src/core/state/end-in-doubt.ts",
    from: "isOver(phase) && claim !== undefined &&\n  mayLack(result)",
    to: "isOver(phase) && claim !== undefined &&\n  result !== undefined && mayLack(result)",
    test: "controller/reconcile/workspace-holder.test.ts"
  },
  {
    name: "all starts of one second are looked at again at once",
    file: "src/core/reconcile/start.ts",
    from: " + spreadMillis(task.metadata.uid)",
    to: "",
    test: "core/reconcile/start.test.ts"
  },
  {
    name: "a slot is given back whose Job may have led to a claim that the cache has not heard of",
    file: "src/controller/reconcile/ask.ts",
    from: "if (cache.hadJob(uid) || turns.isReserved(uid)) yield*",
    to: "if (cache.hadJob(uid)) yield*",
    test: "controller/reconcile/ask.test.ts"
  },
  {
    name: "a task is looked at again for its turn as long as its start fails",
    file: "src/controller/world/turns.ts",
    from: "before._tag === \"PassIsDue\" || !isTold(before, turn(task))",
    to: "before._tag === \"PassIsDue\" || turn(task)._tag === \"Admitted\"",
    test: "controller/world/turns.test.ts"
  },
  {
    name: "what is past the history limit stays until it is looked at again",
    file: "src/controller/world/mirror.ts",
    from: "(mayExpire(after) && !mayExpire(before)) ||",
    to: "",
    test: schedules
  },
  {
    name: "the newest Pod is the one heard of last",
    file: "src/controller/reconcile/observe.ts",
    from: "Array.sortWith(ofJob, ({ createdAt }) => createdAt, Order.String)",
    to: "[...ofJob]",
    test: "controller/reconcile/observe.test.ts"
  },
  {
    name: "a claimed stage counts as unclaimed",
    file: situation,
    from: "isClaimed: Holds = ({ task }) => task.status.claim !== undefined",
    to: "isClaimed: Holds = ({ task }) => task.status.claim === null",
    test: laws
  },
  {
    name: "a cancel before the claim is not seen",
    file: situation,
    from: "calledOff: is(({ task }) => isCalledOff(task))",
    to: "calledOff: is(() => false)",
    test: laws
  },
  {
    name: "a deleted task that a finalizer keeps has its slot for ever",
    file: "src/core/task/status.ts",
    from: "cancel === true || deletionTimestamp !== undefined",
    to: "cancel === true",
    test: "controller/world/turns.test.ts"
  },
  {
    name: "a stranger's Job is adopted",
    file: "src/controller/world/project.ts",
    from: "Option.map(controllingOwner(metadata.ownerReferences, agentTaskResource.kind), ({ uid }) => uid)",
    to: "Option.fromUndefinedOr(metadata.labels?.[taskUidLabel])",
    test: "controller/world/project.test.ts"
  },
  {
    name: "a Job that made way is followed by none",
    file: "src/core/reconcile/launches.ts",
    from: "!isReplaced(s.task) && launchesOf(s)",
    to: "launchesOf(s)",
    test: laws
  },
  {
    name: "launches are not counted",
    file: situation,
    from: "launchesSpent: is(launchesAreSpent)",
    to: "launchesSpent: is((s) => s.now === \"\" && launchesAreSpent(s))",
    test: laws
  },
  {
    name: "a workspace that is taken is no reason to wait",
    file: situation,
    from: "Option.liftPredicate(holder, isOther)",
    to: "Option.filter(Option.liftPredicate(holder, isOther), () => false)",
    test: laws
  },
  {
    name: "who is not admitted starts all the same",
    file: situation,
    from: "Option.liftPredicate(turn, Turn.$is(\"Waiting\"))",
    to: "Option.filter(Option.liftPredicate(turn, Turn.$is(\"Waiting\")), () => false)",
    test: laws
  },
  {
    name: "a silent node is no reason to wait",
    file: situation,
    from: "({ nodeAnswers }) => !nodeAnswers",
    to: "({ nodeAnswers }) => nodeAnswers",
    test: laws
  },
  {
    name: "a node that died while its Pod was not ready is never told of",
    file: situation,
    from: "unreadyMillis >= unreadyPatienceMillis",
    to: "unreadyMillis < 0",
    test: laws
  },
  {
    name: "last words are not read",
    file: situation,
    from: "({ lastWords }) => lastWords)",
    to: "() => Option.none())",
    test: "core/reconcile/plan.test.ts"
  },
  {
    name: "a stage is lost as soon as its worker is over, though its engine goes on",
    file: situation,
    from: "onNone: () => true, onSome: isEngineOver",
    to: "onNone: () => true, onSome: isPodOver",
    test: "core/reconcile/plan.test.ts"
  },
  {
    name: "a Job that failed to launch stays",
    file: situation,
    from: "state !== \"active\" || podWent(s) || (podOver(s) && !makesWay(s))",
    to: "podOver(s) && state !== \"active\" && s.now === \"\"",
    test: crashes
  },
  {
    name: "what is over keeps its Job",
    file: situation,
    from: "jobGoesOn(s) && (s.task.status.result",
    to: "!jobGoesOn(s) && (s.task.status.result",
    test: "core/reconcile/plan.test.ts"
  },
  {
    name: "a Pod that exited with 0 is a success",
    file: "src/core/reconcile/claimed.ts",
    from: "ended(s, \"Failed\", reason, andThen(message, next))",
    to: "({ ...ended(s, \"Failed\", reason, andThen(message, next)), status: { ...s.task.status, phase: \"Succeeded\" } })",
    test: laws
  },
  // how a status may change
  {
    name: "an end can be overwritten",
    file: "src/core/task/status.ts",
    from: "if (isOver(status.phase) || (isOf",
    to: "if ((isOf",
    test: "core/task/status.test.ts"
  },
  {
    name: "phases go back",
    file: "src/core/task/status.ts",
    from: "(!isOver(from) && rankOf(to) > rankOf(from))",
    to: "(!isOver(from) && rankOf(to) < rankOf(from))",
    test: laws
  },
  {
    name: "every result counts as told to the pool",
    file: "src/core/task/status.ts",
    from: "...(reported && {",
    to: "...({",
    test: "worker/task/report.test.ts"
  },
  // which tasks may start
  {
    name: "applies of one workspace start together",
    file: admit,
    from: "    if (mutates(stage)) changing.set(workspace, name)\n",
    to: "",
    test: "core/scheduling/admit.test.ts"
  },
  {
    name: "one task too many runs",
    file: admit,
    from: "total >= limits.total",
    to: "total > limits.total",
    test: "core/scheduling/admit.test.ts"
  },
  {
    name: "a workspace takes all slots",
    file: admit,
    from: "(perWorkspace.get(workspace) ?? 0) >= limits.perWorkspace",
    to: "name === \"\"",
    test: "core/scheduling/admit.test.ts"
  },
  { name: "workspaces take no turns", file: admit, from: "a.round - b.round || ", to: "", test: "core/scheduling/admit.test.ts" },
  {
    name: "two that wait for a workspace overtake each other",
    file: admit,
    from: "if (mutates(stage)) changing.set(workspace, name) // the next",
    to: "if (name === \"\") changing.set(workspace, name) // the next",
    test: "core/scheduling/admit.test.ts"
  },
  {
    name: "who is shut out of its workspace takes a slot while it asks",
    file: admit,
    from: "} else if (shutOut) {",
    to: "} else if (shutOut && name === \"\") {",
    test: "core/scheduling/admit.test.ts"
  },
  {
    name: "another's workspace is one's own",
    file: "src/core/scheduling/workspace-lease.ts",
    from: "holder === self",
    to: "holder !== \"\"",
    test: "core/scheduling/workspace-lease.test.ts"
  },
  {
    name: "the holder of a workspace is over as soon as its task is gone, its Pods not asked about",
    file: "src/controller/reconcile/workspace-holder.ts",
    from: "return yield* podLeftOf(namespace, uid, name)",
    to: "return Option.none()",
    test: schedules
  },
  {
    name: "a Pod that the cache lacks is not looked up",
    file: "src/controller/reconcile/ask.ts",
    from: "{ ...noAnswers, pods: Option.some(Option.toArray(yield* livePod(task))) }",
    to: "noAnswers",
    test: "controller/reconcile/ask.test.ts"
  },
  {
    name: "another Pod of its name is the one that claimed",
    file: "src/controller/reconcile/ask.ts",
    from: "Option.filter(Option.map(found, podSeen), ({ uid }) => uid === claim.podUid)",
    to: "Option.map(found, podSeen)",
    test: "controller/reconcile/ask.test.ts"
  },
  {
    name: "a slot is not taken until its Job is seen",
    file: "src/controller/reconcile/reconcile.ts",
    from: "world.turns.reserve(task.metadata.uid)",
    to: "void 0",
    test: "controller/reconcile/reconcile/deciding.test.ts"
  },
  // what the controller does
  {
    name: "a Job is made by apply, over whatever has its name",
    file: execute,
    from: "kubernetes.create(kind, object).pipe(",
    to: "kubernetes.apply(kind, object).pipe(",
    test: schedules
  },
  {
    name: "a Job of that name is ours, whoever owns it",
    file: "src/controller/reconcile/refusals.ts",
    from: "if (owner?.uid === task.metadata.uid) return",
    to: "if (owner?.uid !== \"\") return",
    test: "controller/reconcile/refusals.test.ts"
  },
  {
    name: "a workspace is taken over whatever its version",
    file: execute,
    from: "resourceVersion: from.resourceVersion }",
    to: "resourceVersion: undefined }",
    test: "controller/reconcile/execute.test.ts"
  },
  {
    name: "a free workspace is taken by apply",
    file: execute,
    from: ": kubernetes.create(leases, lease)",
    to: ": kubernetes.apply(leases, lease)",
    test: "controller/reconcile/execute.test.ts"
  },
  {
    name: "a status is written whatever its version",
    file: "src/kubernetes/write-status.ts",
    from: "metadata: { name, namespace, resourceVersion, uid }, spec, status",
    to: "metadata: { name, namespace, uid } as never, spec, status",
    test: "controller/reconcile/execute.test.ts"
  },
  {
    name: "the epoch of a workspace stays",
    file: "src/core/scheduling/workspace-lease.ts",
    from: "from.epoch + 1 : 1",
    to: "from.epoch : 1",
    test: crashes
  },
  // the Pod
  {
    name: "a second Pod while the first one ends",
    file: job,
    from: "podReplacementPolicy: \"Failed\"",
    to: "podReplacementPolicy: \"TerminatingOrFailed\"",
    test: "core/manifest/job.test.ts"
  },
  {
    name: "who lost the claim ends the Job of the winner",
    file: job,
    from: "values: [claimLostExitCode]",
    to: "values: [0]",
    test: "core/manifest/job.test.ts"
  },
  {
    name: "a rule of the values comes before the one for the claim",
    file: job,
    from: "rules: [neverTheWinner, ...config.task.failureRules]",
    to: "rules: [...config.task.failureRules, neverTheWinner]",
    test: "core/manifest/job.test.ts"
  },
  {
    name: "a container is started again by its kubelet",
    file: pod,
    from: "restartPolicy: \"Never\"",
    to: "restartPolicy: \"OnFailure\"",
    test: "core/manifest/job.test.ts"
  },
  {
    name: "the runner gets a token",
    file: pod,
    from: "automountServiceAccountToken: false",
    to: "automountServiceAccountToken: true",
    test: "core/manifest/job.test.ts"
  },
  {
    name: "an apply is chased from a silent node",
    file: pod,
    from: "...(mutates(stage) ? staysOnSilentNodes : [])",
    to: "...(mutates(stage) ? [] : staysOnSilentNodes)",
    test: "core/manifest/job.test.ts"
  },
  {
    name: "a Job's name is too long for its Pods",
    file: "src/core/task/job-name.ts",
    from: "const limit = 57",
    to: "const limit = 63",
    test: "core/task/job-name.test.ts"
  },
  {
    name: "a task's Job is called as that of the task without the basename in its name",
    file: "src/core/task/job-name.ts",
    from: " && !task.startsWith(`${basename}-`)",
    to: "",
    test: "core/task/job-name.test.ts"
  },
  // the worker
  {
    name: "the message of a stage has the secrets that its log does not show",
    file: "src/worker/stage/stage.ts",
    from: "withLeft(log.redact(outcome.message), unsavedEffects)",
    to: "withLeft(outcome.message, unsavedEffects)",
    test: "worker/stage/stage.test.ts"
  },
  {
    name: "a container that is started again has the claim of the first",
    file: claim,
    from: "claim?.podUid === podUid && claim.nonce === nonce",
    to: "claim?.podUid === podUid",
    test: "worker/task/claim.test.ts"
  },
  {
    name: "a cancelled task is claimed",
    file: claim,
    from: "if (spec.cancel === true)",
    to: "if (spec.cancel === null)",
    test: "worker/task/claim.test.ts"
  },
  {
    name: "a task that is over is claimed",
    file: claim,
    from: "if (isOver(status.phase))",
    to: "if (isOver(undefined))",
    test: "worker/task/claim.test.ts"
  },
  {
    name: "a task that is being deleted is claimed",
    file: claim,
    from: "metadata.deletionTimestamp !== undefined",
    to: "metadata.deletionTimestamp === null",
    test: "worker/task/claim.test.ts"
  },
  {
    name: "a later task of the same name is claimed",
    file: claim,
    from: "taskUid !== task.metadata.uid",
    to: "taskUid === \"\"",
    test: "worker/task/claim.test.ts"
  },
  {
    name: "a result goes to a later task of the same name",
    file: "src/worker/task/report.ts",
    from: "status.claim?.nonce !== claim.nonce",
    to: "status.claim?.nonce === \"\"",
    test: "worker/task/report.test.ts"
  },
  {
    name: "a result is replaced",
    file: "src/worker/task/report.ts",
    from: "if (status.result !== undefined) {",
    to: "if (status.result === null) {",
    test: "worker/task/report.test.ts"
  },
  {
    name: "no last words",
    file: "src/worker/task/report.ts",
    from: "yield* onItsOwn(\"the kubelet\", writeLastWords(lastWords(result)))",
    to: "void writeLastWords",
    test: "worker/task/report.test.ts"
  },
  {
    name: "two interrupts",
    file: "src/core/stage/signal-plan.ts",
    from: "{ name: \"TERM\", afterMillis",
    to: "{ name: \"INT\", afterMillis",
    test: "core/stage/signal-plan.test.ts"
  },
  {
    name: "an exit code of 1 is a success",
    file: "src/core/stage/outcome.ts",
    from: "if (end.code === 0) return Option.none()",
    to: "if (end.code <= 1) return Option.none()",
    test: "core/stage/outcome.test.ts"
  },
  {
    name: "an apply changes something though its state goes with its Pod",
    file: "src/worker/backing/own-backing.ts",
    from: "mutates || (subcommand",
    to: "(subcommand",
    test: "worker/backing/own-backing.test.ts"
  },
  {
    name: "an apply of a kept plan leaves no note that it has begun",
    file: "src/worker/backing/own-backing.ts",
    from: "onSome: ({ sha256 }) => beginKeptPlan(workspace, sha256) }",
    to: "onSome: () => Effect.void }",
    test: "worker/backing/own-backing.test.ts"
  },
  {
    name: "a last state that the worker cannot open is taken for one that is in its backend",
    file: "src/worker/backing/own-backing.ts",
    from: "Option.isSome(left) && Option.isNone(left.value)",
    to: "Option.isNone(left) || Option.isNone(left.value)",
    test: "worker/backing/own-backing.test.ts"
  },
  {
    name: "the note that an apply has begun goes with the node",
    file: "src/worker/backing/kept-plan.ts",
    from: "      sync(folder)\n    },",
    to: "    },",
    test: "worker/backing/kept-plan.test.ts"
  },
  {
    name: "a kept plan whose apply has begun stays for another apply",
    file: "src/worker/backing/kept-plan.ts",
    from: "renameSync(join(folder, `${sha256}${suffix}`)",
    to: "copyFileSync(join(folder, `${sha256}${suffix}`)",
    test: "worker/backing/kept-plan.test.ts"
  },
  {
    name: "an apply makes a key that no plan was sealed with",
    file: "src/worker/backing/kept-plan.ts",
    from: "if (Option.isNone(found) && mayMake)",
    to: "if (Option.isNone(found))",
    test: "worker/backing/kept-plan.test.ts"
  },
  {
    name: "the key that plans are sealed with is replaced by a Pod that comes late",
    file: "src/worker/backing/kept-plan.ts",
    from: "name, constants.COPYFILE_EXCL)",
    to: "name, 0)",
    test: "worker/backing/kept-plan.test.ts"
  },
  {
    name: "a part of a seal that only a newer version compares is passed over",
    file: "src/worker/backing/saved-plan.ts",
    from: "{ onExcessProperty: \"error\" }",
    to: "{}",
    test: "worker/backing/saved-plan.test.ts"
  },
  {
    name: "a state overtakes the one before it",
    file: "src/worker/state/state-delivery.ts",
    from: "inTurn.withPermit(\n        deliver(",
    to: "Effect.uninterruptible(\n        deliver(",
    test: "worker/state/state-delivery.test.ts"
  },
  {
    name: "the lock of an engine that never gave it back is given back",
    file: "src/worker/state/state-delivery.ts",
    from: "held?._tag === \"Granted\" || onItsWay !== undefined ? Effect.void",
    to: "onItsWay !== undefined ? Effect.void",
    test: "worker/state/state-gateway.test.ts"
  },
  {
    name: "a state of another lineage takes the place of the one that is on its way",
    file: "src/worker/state/state-delivery.ts",
    from: "lineage === before.lineage && serial >= before.serial",
    to: "serial >= before.serial",
    test: "worker/backing/pool-backing.test.ts"
  },
  {
    name: "a kept state that is not of this server is sent to no other",
    file: "src/worker/state/stranded-states.ts",
    from: "\"invalid\", \"not-kept\", \"too-large\")",
    to: "\"invalid\", \"not-kept\", \"too-large\", \"not-of-this-server\")",
    test: "worker/state/stranded-states.test.ts"
  },
  {
    name: "a state is read whose bytes are not those of its digest",
    file: "src/worker/network/task-api.ts",
    from: "sha256(whole) === digest",
    to: "digest !== \"\"",
    test: "worker/network/task-api.test.ts"
  },
  {
    name: "a 404 of something before the server is an empty state",
    file: "src/worker/network/task-api.ts",
    from: "isOneOf(problemCodeOf(error), \"no-state\")",
    to: "problemCodeOf(error) !== \"\"",
    test: "worker/state/state-gateway.test.ts"
  },
  {
    name: "a deadline gives up the saving of a state, as a cancel does",
    file: "src/worker/task/stop.ts",
    from: "because(\"DeadlineExceeded\")",
    to: "bySomebody(\"DeadlineExceeded\")",
    test: "worker/task/stop.test.ts"
  },
  {
    name: "the journal of an engine that may go on is closed",
    file: "src/worker/stage/settlement.ts",
    from: "error._tag === \"StageFailed\" && error.reason === \"Lost\"",
    to: "error._tag === \"StageFailed\" && error.reason === \"Evicted\"",
    test: "worker/stage/settlement.test.ts"
  },
  {
    name: "a log shows the secrets that one command was given",
    file: "src/worker/engine/log-shipper.ts",
    from: "own.and(more)",
    to: "own.and([])",
    test: "worker/engine/log-shipper.test.ts"
  },
  {
    name: "a second lock takes the place of one that could not be given back",
    file: "src/worker/state/state-delivery.ts",
    from: `yield* Effect.catchTag(giveBack(ask), "Declined", () => Effect.void)`,
    to: "yield* Effect.ignore(giveBack(ask))",
    test: "worker/state/state-delivery.test.ts"
  },
  {
    name: "two things whose keys were secrets pass for one",
    file: "src/worker/engine/journal.ts",
    from: "own = numbered(masked, nth)\n    } while (taken.has(own))",
    to: "own = masked\n    } while (false)",
    test: "worker/engine/journal.test.ts"
  },
  {
    name: "a thing whose key was a secret is not found in the state",
    file: "src/core/state/left-over.ts",
    from: ".filter((effect) => !hasMasked(effect))",
    to: "",
    test: "core/state/left-over.test.ts"
  },
  {
    name: "a Pod that has to go does not wait for the end of its log, though it has time",
    file: "src/worker/task/report.ts",
    from: "  if (hasty) yield* Effect.raceFirst(flushLog(rest), tooLate)\n",
    to: "",
    test: "worker/task/report.test.ts"
  },
  {
    name: "the time at the end of a stage goes to the oldest of its log, and not to the end",
    file: "src/worker/engine/log-shipper.ts",
    from:
      "      waiting.keepLast(Math.max(pieceBytes, Math.floor((offset - before) / 2))) // the server took twice as much in as long, so it takes all of this\n",
    to: "",
    test: "worker/engine/log-shipper.test.ts"
  },
  // pool and server
  {
    name: "an assignment is acknowledged before its task is kept",
    file: "src/controller/pool/accept.ts",
    from: "  const kept = Effect.tap(persist(where, assignment)",
    to: "  yield* Effect.ignore(pool.acknowledge(id, \"uid\"))\n  const kept = Effect.tap(persist(where, assignment)",
    test: crashes
  },
  {
    name: "a task that an earlier controller made is acknowledged before its token is kept",
    file: "src/controller/pool/accept.ts",
    from: "            ? Effect.succeed(task)",
    to: "            ? Effect.as(Effect.flatMap(Pool, (_) => _.acknowledge(assignment.id, task.metadata.uid)), task)",
    test: pairs
  },
  {
    name: "a change is committed before its entry in the audit trail",
    file: "src/server/store/database.ts",
    from: "  const entry = yield* dueEntry(act)",
    to:
      "  yield* connection.executeUnprepared(\"COMMIT\", [], undefined)\n  yield* connection.executeUnprepared(\"BEGIN\", [], undefined)\n  const entry = yield* dueEntry(act)",
    test: "server/access/audit.test.ts"
  },
  {
    name: "a newer version's database is opened",
    file: "src/server/store/database.ts",
    from: "last > known",
    to: "last > known * 1000",
    test: "server/store/database.test.ts"
  },
  {
    name: "an apply without an approved plan is a task",
    file: "src/core/task/intake.ts",
    from: "(planSha256 !== undefined) === mutates(stage)",
    to: "planSha256 === undefined || mutates(stage)",
    test: "core/task/intake.test.ts"
  },
  {
    name: "an apply has another plan than was approved",
    file: "src/core/task/intake.ts",
    from: "plan: { sha256: planSha256 } })",
    to: "plan: { sha256: \"d\".repeat(64) } })",
    test: schedules
  },
  {
    name: "an apply has another archive than was approved",
    file: "src/core/task/intake.ts",
    from: "source: { pool: { archiveSha256 } },",
    to: "source: { pool: { archiveSha256: \"a\".repeat(64) } },",
    test: schedules
  },
  {
    name: "two attempts have one name",
    file: "src/core/task/intake.ts",
    from: "attempt === 1 ? `${runId}-${stage}` :",
    to: "attempt > 0 ? `${runId}-${stage}` :",
    test: "core/task/intake.test.ts"
  },
  {
    name: "a run is applied that nobody has confirmed",
    file: "src/core/run/run-machine.ts",
    from: "isIn(run, \"confirmed\", \"applying\")\nconst isDue",
    to: "isIn(run, \"planned\", \"confirmed\", \"applying\")\nconst isDue",
    test: "core/run/run-machine.test.ts"
  },
  {
    name: "a cancelled run is applied",
    file: "src/core/run/run-machine.ts",
    from: "planned(run, event) && run.cancelAsked",
    to: "planned(run, event) && run.cancelAsked && run.planOnly",
    test: "core/run/run-machine.test.ts"
  },
  {
    name: "a stage belongs to whoever speaks",
    file: "src/core/run/standing.ts",
    from: "if (!Option.contains(by.taskUid, taskUid))",
    to: "if (Option.isNone(by.taskUid))",
    test: "server/run/assignments.test.ts"
  },
  {
    name: "a second result replaces the first",
    file: "src/server/run/assignments.ts",
    from: "if (stage.result !== null) {",
    to: "if (stage.result !== null && stage.id === \"\") {",
    test: "server/run/assignments.test.ts"
  },
  {
    name: "what was acknowledged is offered again",
    file: "src/server/run/assignments.ts",
    from: "sql`acknowledgedAt IS NULL AND endedAt IS NULL",
    to: "sql`endedAt IS NULL",
    test: "server/run/offers.test.ts"
  },
  {
    name: "a plan that begins makes no room for the next of its workspace",
    file: "src/server/run/assignments.ts",
    from: "yield* advance(stage.runId)",
    to: "",
    test: "server/run/run-queue.test.ts"
  },
  {
    name: "a drained cluster keeps the plans of a workspace from other clusters",
    file: "src/server/run/run-queue.ts",
    from: "stages.waitReason IS NOT 'Draining' AND ",
    to: "",
    test: "server/run/run-queue.test.ts"
  },
  {
    name: "a cluster that is gone keeps the plans of a workspace from other clusters",
    file: "src/server/run/run-queue.ts",
    from: " AND ${isHeard}",
    to: "",
    test: "server/run/run-queue.test.ts"
  },
  {
    name: "a cluster of the pool that a workspace has left keeps its plans from those of the new one",
    file: "src/server/run/run-queue.ts",
    from: " AND ${isOfPool}",
    to: "",
    test: "server/run/run-queue.test.ts"
  },
  {
    name: "plans that every agent refuses keep the others of the workspace waiting",
    file: "src/server/run/run-queue.ts",
    from: "NOT (${isRefused}) AS counts",
    to: "1 AS counts",
    test: "server/run/run-queue.test.ts"
  },
  {
    name: "an import waits behind the plans that wait for it",
    file: "src/server/run/run-queue.ts",
    from: "run.rescueId !== null ? stages.create(run.id, \"plan\") : ",
    to: "",
    test: "server/run/run-queue.test.ts"
  },
  {
    name: "a stage of a pool is offered to whoever asks",
    file: "src/server/run/pools.ts",
    from: " OR ${ofRow} = ${pool})",
    to: " OR ${ofRow} <> ${pool} OR TRUE)",
    test: "server/run/pools.laws.test.ts"
  },
  {
    name: "an offer is made to the pool that its workspace has just left",
    file: "src/server/run/assignments.ts",
    from: " AND ${pools.mayTake(pool)} RETURNING id",
    to: " RETURNING id",
    test: "server/run/offers.test.ts"
  },
  {
    name: "a stage of a pool is taken by whoever was offered it",
    file: "src/core/run/standing.ts",
    from: "if (taskUid === null && !mayTake)",
    to: "if (id === \"\")",
    test: "server/run/pools.laws.test.ts"
  },
  {
    name: "a worker takes a stage that has gone to another pool",
    file: "src/server/run/assignments.ts",
    from: "begin(stage.id, by, taskUid.value)",
    to: "begin(stage.id, Speaker.Worker({ taskUid }), taskUid.value)",
    test: "server/run/pools.laws.test.ts"
  },
  {
    name: "a task loses its stage when the workspace moves",
    file: "src/core/run/standing.ts",
    from: "if (taskUid === null && !mayTake)",
    to: "if (!mayTake)",
    test: "core/run/standing.test.ts"
  },
  {
    name: "the last state is not sent again when the engine is gone",
    file: "src/worker/state/state-delivery.ts",
    from: "    yield* deliver(bytes, afterEngine)",
    to: "    confirmed = SettledState.Saved({ digest: sha256(bytes) })",
    test: "worker/state/state-gateway.test.ts"
  },
  {
    name: "an engine that has to stop gives up its first state as it does a later one",
    file: "src/worker/state/state-delivery.ts",
    from: "Option.isSome(granted()?.known ?? Option.none()) ? untilReleased(ask) : whileEngineWaits(ask)",
    to: "untilReleased(ask)",
    test: "worker/state/state-gateway.test.ts"
  },
  {
    name: "the Pods of a Job that was cleared away count against the next",
    file: "src/controller/reconcile/observe.ts",
    from: "seen.filter(({ owner }) => Option.exists(job, ({ uid }) => Option.contains(owner, uid)))",
    to: "seen",
    test: "controller/reconcile/observe.test.ts"
  },
  {
    name: "the Job of a task is cleared away though its Pod has the claim",
    file: execute,
    from: "status.claim === undefined\n",
    to: "status.claim !== null\n",
    test: "controller/reconcile/execute.test.ts"
  },
  {
    name: "a late delete takes the Job from a claim that came meanwhile",
    file: execute,
    from: "deletion({ uid, resourceVersion })",
    to: "deletion({ uid })",
    test: "controller/reconcile/execute.test.ts"
  },
  {
    name: "an attempt is made beside an apply that no status names",
    file: "src/core/reconcile/attempts.ts",
    from: ": isFollower(task) ? [applyName(",
    to: ": isCancelled ? [applyName(",
    test: schedules
  },
  {
    name: "a second lock is given while the state of the first is unsaved",
    file: "src/worker/state/state-delivery.ts",
    from: "held?._tag === \"Granted\" || (held?._tag === \"Returned\" && onItsWay !== undefined)",
    to: "held?.info.ID === \"\"",
    test: "worker/state/state-delivery.test.ts"
  },
  {
    name: "a drain that somebody ended is told as one that holds",
    file: "src/cli/cluster/draining.ts",
    from: "Equal.equals(drainAskedAt(annotations), since)",
    to: "Equal.equals(since, since)",
    test: "cli/cluster/draining.test.ts"
  },
  {
    name: "a token is sent that another kubeconfig file has for a user of that name",
    file: "src/kubernetes/kubeconfig.ts",
    from: "const users = next.users.filter(({ name }) => config.getUser(name) === null)",
    to: "const users = next.users",
    test: "kubernetes/credentials.test.ts"
  },
  {
    name: "what a webhook denies without a code is asked again without a word",
    file: "src/controller/reconcile/refusals.ts",
    from: "if (error._tag === \"Rejected\") return",
    to: "if (error._tag === \"Rejected\" && error.message === \"\") return",
    test: "controller/reconcile/refusals.test.ts"
  },
  {
    name: "a drain is answered while a Job is on its way",
    file: "src/core/scheduling/draining.ts",
    from: "mayLaunch ? annotations :",
    to: "mayLaunch && since === \"\" ? annotations :",
    test: "core/scheduling/draining.test.ts"
  },
  {
    name: "a drain is answered while a leader that fell silent may still make a Job",
    file: "src/controller/lifecycle/controller.ts",
    from: "formerAtWork || world.turns.launching()",
    to: "world.turns.launching()",
    test: "controller/lifecycle/controller.test.ts"
  },
  {
    name: "a lease of one that fell silent counts as given back",
    file: "src/kubernetes/lease.ts",
    from: "if (before.holderIdentity) takenOverAt",
    to: "if (before.holderIdentity === null) takenOverAt",
    test: "kubernetes/lease.test.ts"
  },
  {
    name: "a Job is asked about by a clock that may be wrong",
    file: "src/controller/reconcile/ask.ts",
    from: "jobAgeMillis({ ...job, knownMillis: ages.knownMillis(uid, seen, at) }, now)",
    to: "jobAgeMillis({ ...job, knownMillis: 0 }, now)",
    test: "controller/reconcile/ask.test.ts"
  },
  {
    name: "who waits for a source wakes nobody",
    file: "src/controller/world/turns.ts",
    from: "return isOpen(before) === isOpen(after) && occupies(before)",
    to: "return occupies(before)",
    test: "controller/world/turns.test.ts"
  },
  {
    name: "who waits for its turn is not told of another place",
    file: "src/core/reconcile/waiting.ts",
    from: "b._tag === \"Admitted\" || a.position === b.position)",
    to: "true)",
    test: "controller/world/turns.test.ts"
  },
  {
    name: "a state of any number of values is parsed",
    file: "src/core/text/json-limits.ts",
    from: "if (begun > values) return",
    to: "if (begun < 0) return",
    test: "core/text/json-limits.test.ts"
  },
  {
    name: "a key that is not whole makes links",
    file: "src/server/access/tokens.ts",
    from: "if (key.byteLength === keyBytes) return key",
    to: "if (key.byteLength <= keyBytes) return key",
    test: "server/access/tokens.test.ts"
  },
  {
    name: "the journal leaves out what has only begun",
    file: "src/worker/engine/journal.ts",
    from: "if (Option.isNone(entry)) return",
    to: `if (Option.isNone(entry) || told.kind === "started") return`,
    test: schedules
  },
  {
    name: "a journal that comes late is not accounted for",
    file: "src/server/run/stage-ends.ts",
    from: "stage.result === null) return { number }",
    to: "stage.result !== undefined) return { number }",
    test: "server/run/journals.test.ts"
  },
  {
    name: "a journal that comes late is accounted for only at its end",
    file: "src/server/run/stage-ends.ts",
    from: "(waits || !hasCreation)",
    to: "(waits || hasCreation)",
    test: schedules
  },
  {
    name: "an import settles the doubt, whatever else is missing",
    file: "src/server/run/stage-ends.ts",
    from: "(left !== undefined && needRescue(left))",
    to: "(left !== undefined && !needRescue(left))",
    test: schedules
  },
  {
    name: "what only the journal tells leaves no doubt",
    file: "src/core/run/state-doubt.ts",
    from: "holds: ({ unsavedEffects }) => unsavedEffects",
    to: "holds: () => false",
    test: schedules
  },
  {
    name: "an entry of the journal is sent once, whether the server has it or not",
    file: "src/worker/engine/journal.ts",
    from: "Effect.suspend(() => send(entries.slice(stored, stored + journalBatch)))",
    to:
      "Effect.suspend(() => Effect.tapError(send(entries.slice(stored, stored + journalBatch)), () => Effect.sync(() => (stored = entries.length))))",
    test: schedules
  },
  {
    name: "a result does not wait for the journal",
    file: "src/worker/stage/settlement.ts",
    from: "Effect.raceFirst(toItsEnd, Effect.as(tooLate, false))",
    to: "Effect.as(Effect.forkChild(toItsEnd), true)",
    test: schedules
  },
  {
    name: "an engine that was forced ended in order, since it exits with 1",
    file: "src/worker/engine/engine.ts",
    from: "(!isHurried || exitCode > 128)",
    to: "(!isHurried || exitCode > 0)",
    test: "worker/engine/engine.test.ts"
  },
  {
    name: "a proxy that forbids ends the saving of a state",
    file: "src/core/network/server-refusal.ts",
    from: "if (Option.isNone(said) || status < 400)",
    to:
      "if (Option.isNone(said) && status === 403) return ServerRefusal.TokenRefused({ error: \"\", message: \"\" })\n  if (Option.isNone(said) || status < 400)",
    test: "worker/network/task-api.test.ts"
  },
  {
    name: "the next kept state has the file of the one before",
    file: "src/worker/state/stranded-states.ts",
    from: ".${randomBytes(6).toString(\"hex\")}${suffix}",
    to: ".x${suffix}",
    test: "worker/state/stranded-states.test.ts"
  },
  {
    name: "a lock that its stage never gave back is no doubt",
    file: "src/core/run/state-doubt.ts",
    from: "holds: ({ lock }) => lock === \"held\"",
    to: "holds: ({ lock }) => lock !== lock",
    test: "core/run/state-doubt.test.ts"
  },
  {
    name: "a workspace goes on though its state is in doubt",
    file: "src/server/run/assignments.ts",
    from: "rescues.settledAt IS NULL AND (",
    to: "rescues.settledAt = '' AND (",
    test: "server/workspace/rescues.test.ts"
  },
  {
    name: "a late writer is let in under another's lock",
    file: "src/server/workspace/state-locks.ts",
    from: "lockInfo.ID === lockId && isOwn ?",
    to: "lockInfo.ID !== \"\" || isOwn ?",
    test: schedules
  },
  {
    name: "each entry of a journal is held against as many objects as a state has at one address",
    file: "src/core/state/state-objects.ts",
    from: "else if (here.length < mostAtOneAddress) here.push(instance)",
    to: "else here.push(instance)",
    test: "core/state/state-objects.test.ts"
  },
  {
    name: "what was planned and nobody saw is in the state, since its predecessor is",
    file: "src/core/state/left-over.ts",
    from: "(replaced.has(address) || !hasObject",
    to: "(!hasObject",
    test: "core/state/left-over.test.ts"
  },
  {
    name: "an engine that crashed ended in order, since no signal ended it",
    file: "src/core/state/left-over.ts",
    from: "(exitCode === 0 || exitCode === 1)",
    to: "(exitCode !== undefined && exitCode < 128)",
    test: "core/state/left-over.test.ts"
  },
  {
    name: "a provider that died in the middle of a creation made nothing, since the engine ended in order",
    file: "src/core/state/left-over.ts",
    from: "unanswered === true || (!inOrder",
    to: "(!inOrder",
    test: "core/state/left-over.test.ts"
  },
  {
    name: "a state that the engine encrypted gets a serial that no engine takes",
    file: "src/server/rescue/settlements.ts",
    from: "if (isEncrypted(",
    to: "if (serial > before.serial && isEncrypted(",
    test: "server/rescue/settlements.test.ts"
  },
  {
    name: "what was made is settled though it was told since the look",
    file: "src/server/rescue/settlements.ts",
    from: "end > (ends[id]",
    to: "end < (ends[id]",
    test: "server/rescue/settlements.test.ts"
  },
  {
    name: "a lock does not raise the epoch",
    file: "src/server/workspace/state-locks.ts",
    from: "SET epoch = epoch + 1, lockInfo",
    to: "SET epoch = epoch, lockInfo",
    test: "server/workspace/state-locks.test.ts"
  },
  {
    name: "any success is the server's yes",
    file: "src/worker/network/task-api.ts",
    from: "response.status === expectedStatus\n",
    to: "response.status < 300\n",
    test: "worker/network/task-api.test.ts"
  },
  {
    name: "a lock goes back before the journal has arrived",
    file: "src/worker/stage/settlement.ts",
    from: "if (isAllStored) yield* givingBack",
    to: "yield* givingBack",
    test: "worker/stage/settlement.test.ts"
  },
  {
    name: "a state that is given up is said of no more",
    file: "src/worker/stage/settlement.ts",
    from: "isDone && statePushed !== false",
    to: "isDone || statePushed !== null",
    test: "worker/stage/settlement.test.ts"
  },
  {
    name: "who holds a workspace waits behind an older task of it",
    file: admit,
    from: "Number(b.holds) - Number(a.holds) || ",
    to: "",
    test: "core/scheduling/admit.test.ts"
  },
  {
    name: "a Job that was given up for a quota and goes on is not counted again",
    file: "src/core/reconcile/launches.ts",
    from: "launches > 0 && !isReplaced(task, \"QuotaExceeded\") &&",
    to: "launches > 0 &&",
    test: "core/reconcile/launches.test.ts"
  },
  {
    name: "a launch ends by what a cache has of its Job and Pods",
    file: "src/controller/reconcile/reconcile.ts",
    from: "first.value.decision.recheck === undefined) return first",
    to: "first.value.decision.recheck !== undefined) return first",
    test: "controller/reconcile/reconcile/deciding.test.ts"
  },
  {
    name: "of a Pod that is gone it is forgotten how it ended",
    file: "src/controller/reconcile/ask.ts",
    from: "isPodOver(pod) && !live.some(",
    to: "isPodOver(pod) && live.some(",
    test: "controller/reconcile/ask.test.ts"
  },
  {
    name: "who waits for a quota loses its place",
    file: "src/controller/world/held-refusals.ts",
    from: "kind !== undefined && kind !== \"QuotaExceeded\"",
    to: "kind !== undefined",
    test: "controller/world/turns.test.ts"
  },
  {
    name: "a notice that the pool did not hear is never given again",
    file: "src/controller/reconcile/reconcile.ts",
    from: "if (heard) world.setReportedWait",
    to: "if (notice !== undefined) world.setReportedWait",
    test: "controller/reconcile/reconcile/pool.test.ts"
  },
  {
    name: "each task that waits finds out for itself that the pool is silent",
    file: "src/controller/pool/breaker.ts",
    from: "if (at < rests.until) return",
    to: "if (at < 0 * rests.until) return",
    test: "controller/pool/breaker.test.ts"
  },
  {
    name: "a task that went while it was looked up is decided upon",
    file: "src/controller/reconcile/reconcile.ts",
    from: "if (Option.isNone(world.cache.taskByUid(task.metadata.uid)))",
    to: "if (task.metadata.uid.length === 0)",
    test: "controller/reconcile/reconcile/deciding.test.ts"
  },
  {
    name: "a refused Job is asked for again as soon as its status is written",
    file: "src/controller/world/held-refusals.ts",
    from: "Option.filter(({ until }) => at < until)",
    to: "Option.filter(({ until }) => at < 0 * until)",
    test: "controller/reconcile/reconcile/refused-pass.test.ts"
  },
  {
    name: "files of no record go at once after a restore",
    file: "src/server/store/named-blobs.ts",
    from: "Math.max(yield* unnamedSince(sha256, at), found.value.storedAt)",
    to: "found.value.storedAt",
    test: "server/sweep.test.ts"
  },
  {
    name: "an archive that is refused is stored",
    file: "src/server/run/configurations.ts",
    from: "yield* usable ? blobs.store(received) : endsAs(\"no archive\")",
    to: "yield* blobs.store(received)",
    test: "server/run/configurations.test.ts"
  },
  {
    name: "an old run whose state is in doubt is emptied",
    file: "src/server/lifecycle/retention.ts",
    from: "(settledAt IS NULL OR settledAt >= ${old})",
    to: "(settledAt >= ${old})",
    test: "server/lifecycle/retention.test.ts"
  },
  {
    name: "all states of one run are kept",
    file: "src/server/workspace/state-versions.ts",
    from: "OFFSET ${keptOfWriter}",
    to: "OFFSET ${1000 * keptOfWriter}",
    test: "server/workspace/state-versions.test.ts"
  },
  {
    name: "a state that arrives after its stage's end opens no rescue",
    file: "src/server/workspace/refused-states.ts",
    from: "over === undefined\n",
    to: "over?.stage !== \"\"\n",
    test: "server/workspace/refused-states.test.ts"
  },
  {
    name: "a file joins a doubt that is settled by now",
    file: "src/server/workspace/refused-states.ts",
    from: "rescue?.settledAt === null",
    to: "rescue !== undefined",
    test: "server/rescue/kept-states.test.ts"
  },
  {
    name: "another engine applies a sealed plan",
    file: "src/core/stage/seal.ts",
    from: "engine: (sealed, now) => shown(\"engine\", engineWords(sealed.engine), engineWords(now.engine))",
    to: "engine: () => Option.none()",
    test: "core/stage/seal.test.ts"
  },
  {
    name: "a sealed plan is applied with another backend",
    file: "src/core/stage/seal.ts",
    from: "another(\"backend of the state\", sealed.backend ?? null, now.backend ?? null)",
    to: "Option.none()",
    test: "core/stage/seal.test.ts"
  },
  {
    name: "another module takes a sealed plan",
    file: "src/core/stage/seal.ts",
    from: "others(\"modules\", sealed.modules, now.modules)",
    to: "Option.none()",
    test: "core/stage/seal.test.ts"
  },
  {
    name: "the script of a module is not sealed",
    file: "src/worker/stage/seal.ts",
    from: "target, Option.getOrNull(content)]",
    to: "target]",
    test: "worker/stage/seal.test.ts"
  },
  {
    name: "the apply of a saved plan downloads its modules",
    file: "src/core/stage/stage-commands.ts",
    from: ", \"-get=false\"",
    to: "",
    test: "core/stage/stage-commands.test.ts"
  },
  {
    name: "a module is kept without the link in it that leads out",
    file: "src/worker/volume/pack-tree.ts",
    from: "if (!part.isKept(found)) continue",
    to: "if (!part.isKept(found) || found.target.startsWith(\"/\")) continue",
    test: "worker/volume/pack-tree.test.ts"
  },
  {
    name: "a newer state takes a sealed plan",
    file: "src/core/stage/seal.ts",
    from: "`serial ${state.serial}`",
    to: "`serial`",
    test: "core/stage/seal.test.ts"
  },
  {
    name: "an apply that waited in its cluster begins in doubt",
    file: "src/server/run/assignments.ts",
    from: "if (wasLate) return stage\n    yield* refuseInDoubt(stage)\n",
    to: "if (wasLate) return stage\n",
    test: "server/workspace/rescues.test.ts"
  },
  {
    name: "an end by force takes its cancellation off the feed",
    file: "src/server/run/assignments.ts",
    from: " OR forced = 1",
    to: "",
    test: "server/force-cancel.test.ts"
  },
  {
    name: "an apply that is cancelled before it was offered is not asked for its result, though it may have run before a restore",
    file: "src/server/run/stages.ts",
    from: " OR stage <> 'plan'",
    to: "",
    test: "server/cancelled-elsewhere.test.ts"
  },
  {
    name: "an agent without the task of an apply has the last word on it",
    file: "src/server/run/assignments.ts",
    from: "!(yield* ends.tellsOfDoubt(stage, result))",
    to: "ends.tellsOfDoubt !== undefined",
    test: "server/cancelled-elsewhere.test.ts"
  },
  {
    name: "what a new offer wiped is not said again",
    file: "src/controller/pool/accept.ts",
    from: "Effect.ensuring(pool.acknowledge(id, task.metadata.uid), sayAgain(where, task))",
    to: "pool.acknowledge(id, task.metadata.uid)",
    test: "controller/pool/accept.test.ts"
  },
  {
    name: "a Lease that was deleted was given back",
    file: "src/kubernetes/lease.ts",
    from: "if (isKnown) takenOverAt",
    to: "if (isKnown && hasTriedToWrite === undefined) takenOverAt",
    test: "kubernetes/lease.test.ts"
  },
  {
    name: "a Job made anew counts as another launch",
    file: "src/core/reconcile/launches.ts",
    from: "launches: (status.launches ?? 1) - 1",
    to: "launches: status.launches ?? 1",
    test: "core/reconcile/launches.test.ts"
  },
  {
    name: "a renewal of the Lease counts from its answer",
    file: "src/kubernetes/lease.ts",
    from: "      renewedAt\n    } satisfies Held",
    to: "      renewedAt: yield* monotonicMillis\n    } satisfies Held",
    test: "kubernetes/lease.test.ts"
  },
  {
    name: "an object that goes while a look breaks off stays",
    file: "src/kubernetes/known-objects.ts",
    from: "const beginLook = (): void => moveTo(",
    to: "const beginLook = (): void => position._tag === \"Looking\" ? undefined : moveTo(",
    test: "kubernetes/informer.test.ts"
  },
  {
    name: "two words on a run are both taken where neither has heard of the other",
    file: "src/server/run/runs.ts",
    from: "    return yield* get(id)\n  }, sql.withTransaction)",
    to: "    return yield* get(id)\n  })",
    test: "server/transactions.test.ts"
  },
  {
    name: "a person is not told how to save a state while nothing but its Pod has it",
    file: "src/worker/state/state-delivery.ts",
    from: "refuge: Effect.sync(() => Option.map(Option.fromUndefinedOr(onItsWay), refugeOf))",
    to: "refuge: Effect.succeedNone",
    test: "worker/state/state-delivery.test.ts"
  },
  {
    name: "a renewed certificate is shown after the next restart",
    file: "src/server/lifecycle/listen.ts",
    from: "    server.setSecureContext({ ...secure, ...next })\n",
    to: "",
    test: "server/lifecycle/certificate.test.ts"
  },
  {
    name: "a renewed certificate is shown before its key is there",
    file: "src/server/lifecycle/certificate.ts",
    from: "isHeld(pair) ? Effect.void : check(files, pair)",
    to: "Effect.void",
    test: "server/lifecycle/certificate.test.ts"
  },
  {
    name: "a task is timed by what was seen of another one of its name",
    file: "src/controller/reconcile/task-times.ts",
    from: "before?.uid !== uid ||",
    to: "before === undefined ||",
    test: "controller/reconcile/task-times.test.ts"
  },
  {
    name: "a SIGTERM that comes while the program is loaded is lost",
    file: "src/main.ts",
    from: "import \"./cli/terminal/early-signal.ts\" // first of all\n",
    to: "",
    test: "main.test.ts"
  },
  {
    name: "a directory without configuration is planned, which destroys all that the state has",
    file: "src/worker/stage/preparation.ts",
    from: "if (!names.some((one) => isConfiguration(one, tofu)))",
    to: "if (names.length === 0)",
    test: "worker/stage/stage.test.ts"
  },
  {
    name: "an import is applied whose plan would make once more what it passes over",
    file: "src/core/run/run-end.ts",
    from: "imports >= toImport",
    to: "imports >= 0",
    test: "core/run/run-end.test.ts"
  },
  {
    name: "a copy of the server's database takes an apply that was lost for one that made nothing",
    file: "src/controller/pool/assignment-reports.ts",
    from: "...(isInDoubt && { statePushed: false })",
    to: "",
    test: "controller/pool/assignment-reports.test.ts"
  }
]
