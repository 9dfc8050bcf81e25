// The task API: what the worker of one stage fetches and leaves, by the contract of schema/api/task-api. Used by server/lifecycle/server.
// The token says which stage asks, so no path names one; a header says which task. Once a stage has its result, only that may be repeated
// and, where its end left the state in doubt, a state be left as evidence and the journal be completed.
import { Effect, Option, Schema } from "effect"
import { HttpRouter, type HttpServerRequest, HttpServerResponse } from "effect/http"
import type { SqlError } from "effect/sql"
import { Speaker } from "../../core/run/standing.ts"
import { type JournalEntry, JournalRequest } from "../../schema/api/effects.ts"
import {
  keptStateLimitBytes,
  LockInfo,
  lockLimitBytes,
  planLimitBytes,
  stateLimitBytes,
  type TaskDetails,
  taskHeader,
  taskPath
} from "../../schema/api/task-api.ts"
import { Uid } from "../../schema/names.ts"
import { mutates } from "../../schema/task/agent-task.ts"
import { ToldResult } from "../../schema/task/stage-result.ts"
import { routesOf } from "../access/authorize.ts"
import { Bodies } from "../access/bodies.ts"
import { type Answer, blobAnswer, noContent, problem, stateAnswer, unlocked } from "../access/http-answer.ts"
import { bytesOf, countOf, jsonOf, saidBytes } from "../access/http-request.ts"
import { type Caller, Tokens } from "../access/tokens.ts"
import { conflict, invalid, Refused, type StoreFailure } from "../refused.ts"
import { KeptStates } from "../rescue/kept-states.ts"
import { Assignments } from "../run/assignments.ts"
import { Configurations } from "../run/configurations.ts"
import { Logs } from "../run/logs.ts"
import { type Run, Runs } from "../run/runs.ts"
import { StageEnds } from "../run/stage-ends.ts"
import { StageStates } from "../run/stage-states.ts"
import { type StageRow, Stages } from "../run/stages.ts"
import { Blobs, type Stored } from "../store/blobs.ts"
import { makeOneUpload } from "../store/one-upload.ts"
import { StateVersions } from "../workspace/state-versions.ts"
import { Variables, variablesOf } from "../workspace/variables.ts"

/** The largest piece of a log. A worker sends 64 KiB, with a mark where something is missing (worker/engine/log-shipper). */
const logPieceLimitBytes = 256 * 1024

const result = jsonOf(ToldResult)
const journalRequest = jsonOf(JournalRequest)
const lockInfo = jsonOf(LockInfo, { limitBytes: lockLimitBytes })
const decodeUid = Schema.decodeUnknownOption(Uid)
const epochOf = Schema.decodeUnknownOption(Schema.FiniteFromString.check(Schema.isInt()))

const callerOf = ({ id }: StageRow): Caller => ({ kind: "task", name: id })

const wrongStage = (message: string) => Effect.fail(conflict("wrong-stage", message))
const onlyPlan = ({ stage }: StageRow, message: string) => mutates(stage) ? wrongStage(message) : Effect.void
const onlyChange = ({ stage }: StageRow, message: string) => mutates(stage) ? Effect.void : wrongStage(message)

/** Fails for entries that no journal of this stage has: a plan's has what is planned, and no other's has. */
const onlyOwnEntries = ({ id, stage }: StageRow, entries: ReadonlyArray<JournalEntry>) => {
  const isPlan = !mutates(stage)
  if (entries.every(({ kind }) => kind === "full" || (kind === "planned") === isPlan)) return Effect.void
  return wrongStage(
    isPlan
      ? `The plan stage ${id} makes nothing, so its journal has only what is planned; leave out the other entries.`
      : `The ${stage} stage ${id} plans nothing, so its journal has nothing that is planned; leave out these entries.`
  )
}

export const taskRoutes = HttpRouter.addAll(Effect.gen(function*() {
  const assignments = yield* Assignments
  const blobs = yield* Blobs
  const bodies = yield* Bodies
  const configurations = yield* Configurations
  const logs = yield* Logs
  const keptStates = yield* KeptStates
  const runs = yield* Runs
  const stageEnds = yield* StageEnds
  const stages = yield* Stages
  const states = yield* StageStates
  const versions = yield* StateVersions
  const tokens = yield* Tokens
  const variables = yield* Variables

  const onePlan = makeOneUpload(conflict("another-upload", "Another upload of this saved plan has begun, so this one was ended."))

  const taskUidOf = (request: HttpServerRequest.HttpServerRequest) => decodeUid(request.headers[taskHeader.taskUid])
  const stageOf = (isGood: (stage: StageRow) => Effect.Effect<boolean, SqlError.SqlError>) =>
    Effect.fnUntraced(function*(token: string, request: HttpServerRequest.HttpServerRequest) {
      const offered = yield* assignments.byToken(token)
      if (offered === undefined) return Option.none()
      const enter = Effect.gen(function*() {
        const entered = yield* assignments.enter(offered, taskUidOf(request))
        return (yield* isGood(entered)) ? Option.some(entered) : Option.none()
      })
      return Option.some({ caller: callerOf(offered.stage), enter })
    })

  const forRunning = yield* routesOf(stageOf(({ endedAt }) => Effect.succeed(endedAt === null)), problem)
  const forRunningOrReported = yield* routesOf(
    stageOf(({ endedAt, result }) => Effect.succeed(endedAt === null || result !== null)),
    problem
  )
  const forRunningOrDoubted = yield* routesOf(stageOf(states.mayPush), problem)
  const forAnyStage = yield* routesOf(stageOf(() => Effect.succeed(true)), problem)

  /** Makes a route for the holder of the token of a stage that is not over; the handler gets the stage and its run. */
  const task = (
    method: "GET" | "POST" | "PUT",
    path: HttpRouter.PathInput,
    handler: (request: HttpServerRequest.HttpServerRequest, stage: StageRow, run: Run) => Answer
  ) => forRunning(method, path, (request, _, stage) => Effect.flatMap(runs.get(stage.runId), (run) => handler(request, stage, run)))

  const details = (stage: StageRow, run: Run) =>
    Effect.gen(function*() {
      const { options, variables: ofRun } = yield* runs.whole(run.id)
      const state = yield* versions.current(run.workspaceId)
      const task: TaskDetails = {
        id: stage.id,
        runId: run.id,
        workspace: run.workspace,
        stage: stage.stage,
        archiveSha256: run.archiveSha256,
        ...(mutates(stage.stage) && run.planSha256 !== null && { planSha256: run.planSha256 }),
        ...(run.workingDirectory !== "" && { workingDirectory: run.workingDirectory }),
        options,
        variables: variablesOf(yield* variables.list(run.workspaceId), ofRun),
        ...(state !== undefined && { state: { lineage: state.lineage, serial: state.serial } }),
        keptStateKey: keptStates.keyOf(stage.id),
        sealKey: tokens.secretOf(`seal ${run.id}`)
      }
      return HttpServerResponse.jsonUnsafe(task)
    })

  /** Returns the archive of a run. That of an import is not the one of its configuration version, and no row has its size. */
  const archiveOf = ({ archiveSha256, configurationVersionId }: Run): Effect.Effect<Stored, StoreFailure> =>
    Effect.map(configurations.get(configurationVersionId), ({ sha256, sizeBytes }) => ({
      sha256: archiveSha256,
      sizeBytes: sha256 === archiveSha256 ? sizeBytes : null
    }))

  /** Returns the saved plan of a run, which is of the newest stage that stored one; an early row does not have its size. */
  const planOf = ({ id, planSha256 }: Run): Effect.Effect<Stored, StoreFailure> =>
    planSha256 === null
      ? Effect.fail(
        new Refused({
          status: 404,
          error: "no-plan",
          message: `The run ${id} has no saved plan to apply; start it again, so that it is planned.`
        })
      )
      : Effect.map(stages.listedOf(id), (all) => ({
        sha256: planSha256,
        sizeBytes: all.findLast(({ planBytes }) => planBytes > 0)?.planBytes ?? null
      }))

  return [
    task("GET", taskPath.assignment, (_, stage, run) => details(stage, run)),
    task("GET", taskPath.archive, (_, __, run) => Effect.flatMap(archiveOf(run), (archive) => blobAnswer(blobs, archive))),
    task("GET", taskPath.plan, (_, __, run) => Effect.flatMap(planOf(run), (plan) => blobAnswer(blobs, plan))),
    task("PUT", taskPath.plan, (request, stage, run) =>
      Effect.gen(function*() {
        yield* onlyPlan(
          stage,
          `The ${stage.stage} stage ${stage.id} stores no saved plan; send it with the token of its run's plan stage.`
        )
        const expected = request.headers[taskHeader.digest]
        if (expected === undefined) return yield* invalid(`A saved plan needs its SHA-256 in the header ${taskHeader.digest}.`)
        const limits = { limitBytes: planLimitBytes, expected, saidBytes: saidBytes(request) }
        const received = yield* onePlan(stage.id, blobs.receive(request.stream, limits))
        yield* runs.savePlan(run.id, stage.id, received)
        return noContent
      }).pipe(Effect.scoped)),
    task("POST", taskPath.log, (request, stage) =>
      Effect.gen(function*() {
        const offset = yield* countOf(request, "offset", 0)
        return HttpServerResponse.jsonUnsafe({ offset: yield* logs.append(stage.id, offset, yield* bytesOf(request, logPieceLimitBytes)) })
      })),
    forAnyStage("POST", taskPath.effects, (request, _, stage) =>
      Effect.gen(function*() {
        // Not 401: a worker takes that for a token that may be renewed, and its Pod would wait for that.
        if (!(yield* states.mayPush(stage))) {
          return yield* conflict(
            "stage-over",
            `The stage ${stage.id} is over and left nothing in doubt, so nothing more of its journal is stored; send no more of it.`
          )
        }
        const { entries } = yield* journalRequest(request)
        yield* onlyOwnEntries(stage, entries)
        return HttpServerResponse.jsonUnsafe({ number: yield* stageEnds.journal(stage.id, entries) })
      })),
    forRunning("GET", taskPath.state, (_, __, stage) => Effect.flatMap(states.current(stage), (version) => stateAnswer(blobs, version))),
    forRunningOrDoubted("POST", taskPath.state, (request, _, stage) =>
      Effect.gen(function*() {
        yield* onlyChange(stage, `The plan stage ${stage.id} writes no state; send it with the token of its run's apply stage.`)
        const { [taskHeader.digest]: sha256, [taskHeader.lockEpoch]: epoch, [taskHeader.lockId]: lockId } = request.headers
        yield* bodies.whole(callerOf(stage), request, stateLimitBytes, (bytes) =>
          states.push(stage, { bytes, sha256, lockId, epoch: epochOf(epoch) }))
        return noContent
      })),
    task(
      "POST",
      taskPath.keptState,
      (request, stage) => Effect.as(bodies.whole(callerOf(stage), request, keptStateLimitBytes, keptStates.take), noContent)
    ),
    forRunning("POST", taskPath.lock, (request, _, stage) =>
      Effect.gen(function*() {
        yield* onlyChange(stage, "A plan stage takes no lock, since it writes no state; plan with -lock=false.")
        return HttpServerResponse.jsonUnsafe({ epoch: yield* states.lock(stage, yield* lockInfo(request)) })
      })),
    forRunning("POST", taskPath.unlock, (request, _, stage) =>
      Effect.gen(function*() {
        yield* states.unlock(stage, yield* lockInfo(request))
        return unlocked
      })),
    forRunningOrReported("POST", taskPath.result, (request, _, stage) =>
      Effect.gen(function*() {
        yield* assignments.end(stage.id, Speaker.Worker({ taskUid: taskUidOf(request) }), yield* result(request))
        return noContent
      }))
  ]
}))
