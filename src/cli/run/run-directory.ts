// Takes a directory through a whole run on the server: upload, plan, approval, apply, outputs. Shows each as it happens.
// Invariant: only a plan that was approved is applied: by the answer to the question, by --auto-approve or elsewhere.
// Used by run.
import { Effect, Fiber } from "effect"
import { inWords } from "../../core/run/run-machine.ts"
import { expressionOf } from "../../core/text/hcl.ts"
import type { RunView } from "../../schema/api/run.ts"
import type { GivenVariable } from "../flags/run-variables.ts"
import { patiently } from "../server/patiently.ts"
import { type NewRun, ServerClient } from "../server/server-client.ts"
import { counted, size } from "../terminal/amounts.ts"
import { writerOf } from "../terminal/answer.ts"
import {
  Failed,
  hadNoEffect,
  HasChanges,
  isAwayForNow,
  MaybeStarted,
  mayComeThrough,
  mayPass,
  type ServerFailure
} from "../terminal/failure.ts"
import { loading } from "../terminal/lazily.ts"
import { outliveReaders } from "../terminal/readers.ts"
import { Screen } from "../terminal/screen.ts"
import { decide } from "./approval.ts"
import { archiveOf } from "./archive.ts"
import { follow, followApply, followStep } from "./follow-run.ts"
import { onInterrupt, onInterruptedStart, type Progress } from "./interrupt.ts"
import { notKnown, type Outputs, outputsOf } from "./outputs.ts"
import { applySummary, approvalHint, badEnd, doubt, hasApply, nextSteps, outputLines, planSummary, whyNotByItself } from "./summary.ts"

export interface RunRequest {
  readonly directory: string
  readonly workspace: string
  readonly autoApprove: boolean
  readonly allowEmptyApply: boolean
  readonly destroy: boolean
  readonly planOnly: boolean
  /** Whether a plan with changes ends with an exit code of its own. */
  readonly detailedExitcode: boolean
  /** The engine; none: one that the runner's image has. */
  readonly engine: NewRun["engine"]
  readonly variables: ReadonlyArray<GivenVariable>
  /** Whether a summary for people is printed at the end, or one document. */
  readonly output: "text" | "json" | "yaml"
}

/** What `-o json` and `-o yaml` print, also for a run that failed or was interrupted, or whose end was not seen. */
interface Report<Run extends { readonly id: string } = RunView> extends Outputs {
  /** The run as it was seen last. */
  readonly run: Run
}

/**
 * Uploads the directory, and returns the run to ask the server for. The first request is not repeated where nothing answers, because the
 * address may be wrong. A version that is made twice, because an answer was lost, has no archive and is never used.
 */
const prepared = Effect.fn("prepared")(function*(request: RunRequest) {
  const { allowEmptyApply, autoApprove, destroy, directory, engine, planOnly, variables, workspace } = request
  const screen = yield* Screen
  const server = yield* ServerClient
  const workingDirectory = Effect.andThen(
    screen.status(`Asking ${server.url}`),
    patiently(server.workspace(workspace), isAwayForNow).pipe(
      Effect.map((found) => found.workingDirectory),
      Effect.catchTag("NothingThere", () => Effect.succeed(""))
    )
  )
  const archive = yield* archiveOf(directory, workingDirectory, engine)
  yield* screen.step(`Archived ${directory}: ${counted(archive.files, "file")}, ${size(archive.contentBytes)}`)
  yield* screen.status(`Asking ${server.url}`)
  const { created, id: workspaceId } = yield* patiently(server.ensureWorkspace(workspace), isAwayForNow)
  if (created) yield* screen.step(`Made the workspace ${workspace}`)
  yield* screen.status(`Uploading ${size(archive.bytes.length)}`)
  const version = yield* patiently(server.createVersion(workspaceId, { speculative: planOnly }), mayComeThrough)
  yield* patiently(server.upload(version.uploadUrl, archive.bytes), mayComeThrough)
  return {
    workspaceId,
    configurationVersionId: version.id,
    destroy,
    autoApply: autoApprove,
    allowEmptyApply,
    planOnly,
    engine,
    variables: variables.map(({ key, value }) => ({ key, value: expressionOf(value) }))
  } satisfies NewRun
})

/** Starts the run and returns its id. Fails with `MaybeStarted` where another request could start a second run. */
const start = Effect.fn("start")(function*(wanted: NewRun, workspace: string) {
  const server = yield* ServerClient
  return yield* server.createRun(wanted).pipe(
    Effect.catchTag(
      "ServerUnreachable",
      (error) => Effect.fail(hadNoEffect(error) ? error : new MaybeStarted({ detail: error.detail, url: error.url, workspace }))
    )
  )
})

/** Takes the run through plan, decision and apply, and returns it as it is then. */
const followRun = Effect.fn("followRun")(function*(runId: string, progress: Progress) {
  const screen = yield* Screen
  const applying = Effect.sync(() => {
    progress.followed = followApply(progress.followed, screen.colours)
    progress.asked = false
  })
  const planned = yield* followStep(runId, progress.followed)
  if (!hasApply(planned) && (planned.status === "errored" || planned.status === "canceled")) return planned
  yield* screen.line("")
  yield* screen.line(planSummary(planned), "bold")
  const why = whyNotByItself(planned)
  if (why !== undefined) yield* screen.line(`It does not apply by itself: ${why}.`)
  progress.asked = planned.status === "planned"
  const decided = planned.status === "planned" ? yield* decide(planned, applying) : planned
  if (!hasApply(decided)) return decided
  yield* applying
  return yield* followStep(runId, progress.followed)
})

/** Says what becomes of the run although the command ends, unless there is no such run. */
const lostSight = Effect.fnUntraced(function*(runId: string, { _tag }: ServerFailure) {
  const screen = yield* Screen
  if (_tag === "ServerUnreachable" || _tag === "TokenRefused") {
    yield* screen.step(`${runId} goes on without this command; follow it with: agent-job logs -f ${runId}`)
  }
  if (_tag === "ServerRefused" || _tag === "NotAllowed") {
    yield* screen.step(`${runId} is left as it is on the server; look with: agent-job get ${runId}`)
  }
})

/** Tells a person what was done, the outputs, and what to do next. */
const tell = Effect.fnUntraced(function*({ outputs, run, stateSerial }: Report, directory: string) {
  const screen = yield* Screen
  const below = Effect.fnUntraced(function*(heading: string, lines: ReadonlyArray<string>) {
    if (lines.length === 0) return
    yield* screen.line("")
    yield* screen.line(heading, "bold")
    yield* Effect.forEach(lines, (text) => screen.line(text))
  })
  if (run.status === "applied") {
    yield* screen.line("")
    yield* screen.line(`${applySummary(run)}${stateSerial === null ? "" : ` The state is at serial ${stateSerial}.`}`, "good")
  }
  yield* below("Outputs", outputLines(outputs ?? []))
  yield* below("Next", nextSteps(run, directory))
})

/**
 * Runs the directory and prints the result. Fails with `Failed` if the run failed, with `Cancelled` if it was cancelled or discarded, and
 * with `HasChanges` if the plan has changes and that was asked.
 */
export const runDirectory = Effect.fn("runDirectory")(function*(request: RunRequest) {
  const screen = yield* Screen
  const { output, workspace } = request
  const write = output === "text" ? undefined : yield* loading(() => writerOf(output)) // now, since an interrupt waits for nothing
  const print = (report: Report<{ readonly id: string }>) => write === undefined ? Effect.void : screen.result(write(report))
  const leaving = (said: string) => Effect.andThen(outliveReaders, screen.step(said))
  const leavingNothing = leaving("No run was started.")
  const wanted = yield* Effect.onInterrupt(prepared(request), () => leavingNothing)
  const { workspaceId } = wanted
  const progress: Progress = { followed: follow("plan", screen.colours, "Planning"), asked: false }
  const asSeen = (runId: string, run: RunView | undefined) => print({ run: run ?? { id: runId }, ...notKnown })
  const stop = (runId: string) => onInterrupt(runId, progress, asSeen)
  const run = yield* Effect.uninterruptibleMask(Effect.fnUntraced(function*(restore) {
    const asking = Effect.gen(function*() {
      const asked = yield* Effect.forkChild(restore(start(wanted, workspace)))
      return yield* restore(Fiber.join(asked)).pipe(Effect.onInterrupt(() => onInterruptedStart(asked, workspace, stop)))
    })
    const runId = yield* patiently(asking, mayPass, leavingNothing)
    yield* screen.step(`Started ${runId} in workspace ${workspace}`)
    return yield* restore(followRun(runId, progress)).pipe(
      Effect.onInterrupt(() => stop(runId)),
      Effect.tapError((error) => Effect.andThen(lostSight(runId, error), asSeen(runId, progress.followed.run)))
    )
  }))
  const left = Effect.andThen(
    leaving(`${run.id} is ${inWords(run.status)}, but its outputs were not read; see the run with: agent-job get ${run.id}`),
    asSeen(run.id, run)
  )
  const report: Report = { run, ...(yield* Effect.onInterrupt(outputsOf(run, workspaceId), () => left)) }
  if (run.status === "planned") yield* Effect.forEach(["", ...approvalHint(run)], (text) => screen.line(text))
  if (run.status === "applied") yield* Effect.forEach(doubt(run), (text) => screen.line(text)) // as of a server from a copy
  yield* write === undefined ? tell(report, request.directory) : print(report)
  const bad = badEnd(run)
  if (bad !== undefined) return yield* bad
  switch (run.status) {
    case "planned": {
      const why = whyNotByItself(run)
      return why === undefined ? undefined : yield* new Failed({ message: `${run.id} was not applied by itself: ${why}.` })
    }
    case "planned_and_finished":
      return request.detailedExitcode && run.hasChanges !== false ? yield* new HasChanges() : undefined
  }
})
