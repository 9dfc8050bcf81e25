// What happens before the first command of a stage: its files come, its engine is found, its log begins, and an approved plan is checked.
// Invariant: what the stage starts from is as it was approved; the tree is noted before any command, if the plan is to be kept.
// Used by worker/stage/stage.ts.
import { Effect, Option, type Ref } from "effect"
import { join } from "node:path"
import { isConfiguration, noConfiguration } from "../../core/stage/configuration-files.ts"
import { idleArguments, mutingArguments, printsJson } from "../../core/stage/engine-arguments.ts"
import { lockFileName, needsWritableLock, readsTofuFiles, stageCommands, tellsEvents } from "../../core/stage/stage-commands.ts"
import { unknownOption } from "../../core/task/unknown-option.ts"
import { type AgentTaskSpec, defaultTimeoutSeconds } from "../../schema/task/agent-task.ts"
import type { Seal } from "../../schema/task/seal.ts"
import type { Backing, Provisioned } from "../backing/backing.ts"
import { type Marks, marksOf, packCarried } from "../backing/carried-files.ts"
import { planFile } from "../backing/modules-folder.ts"
import { readRootModule, tellCommands } from "../backing/root-module.ts"
import { tellUnusedBackend } from "../backing/unused-backend.ts"
import { Engine, type Workplace } from "../engine/engine.ts"
import { Log } from "../engine/log-shipper.ts"
import { Settings } from "../settings.ts"
import { invalid, type StageFailed } from "../stage-failed.ts"
import { untilStopped } from "../task/stage-stopped.ts"
import { namesIn, readFile } from "../volume/folder.ts"
import { providerMirrors } from "./provider-mirrors.ts"
import { makeEngineFolders, provision } from "./provision.ts"
import { sealOf, unbroken } from "./seal.ts"
import { learn, type StageFacts } from "./settlement.ts"
import type { Variables } from "./variables.ts"

/** The most bytes of a lock file that is read: it has one or two thousand for each provider. */
const lockLimitBytes = 4 * 1024 ** 2

/** Brings the files, finds the engine and begins the log. Fails when the stage may not run its first command. */
export const prepare = Effect.fnUntraced(
  function*(spec: AgentTaskSpec, backing: Backing, given: Variables, facts: Ref.Ref<StageFacts>) {
    const { find } = yield* Engine
    const { dataDirectory } = yield* Settings
    const folders = yield* makeEngineFolders()
    const env = {
      ...given.env,
      HOME: folders.home,
      TMPDIR: folders.temporary,
      TF_DATA_DIR: folders.data,
      TF_IN_AUTOMATION: "1",
      TF_INPUT: "0",
      CHECKPOINT_DISABLE: "1"
    }
    const unknown = unknownOption(spec, "worker")
    if (Option.isSome(unknown)) return yield* invalid(unknown.value)
    const { approved, place } = yield* untilStopped(bring(spec, given, backing))
    // Asked where its commands will run: an image's version manager picks the engine by what the configuration says.
    const { engine, variables: ofRunner } = yield* find(Option.fromUndefinedOr(spec.engine?.name), { directory: place.path, env })
    const variables = { ...given, env: { ...ofRunner, ...given.env } }
    const events = tellsEvents(engine.name, engine.version) && !printsJson(variables.env)
    const unfit = Option.orElse(
      idleArguments(variables.env),
      () => events || engine.name !== "tofu" ? Option.none() : mutingArguments(variables.env)
    )
    if (Option.isSome(unfit)) return yield* invalid(unfit.value)
    yield* introduce(spec, engine, variables.shown)
    if (Option.isNone(approved)) yield* refuseToPlanNothing(spec, place, engine)
    const readNow = readRootModule(place, variables.env, spec.pool === undefined ? undefined : spec.workspace)
    const rootModule = yield* untilStopped(readNow)
    yield* learn(facts, yield* untilStopped(tellUnusedBackend(spec, rootModule, backing.sealing.state)))
    yield* tellCommands(rootModule)
    const sealNow = sealOf(place, engine, variables, backing.sealing)
    const asApproved = untilStopped(
      Option.match(approved, { onNone: () => Effect.void, onSome: (sealed) => Effect.flatMap(sealNow, (now) => unbroken(sealed, now)) })
    )
    yield* asApproved
    const tellMade = Effect.flatMap(readNow, (now) => tellCommands(now, rootModule.commands))
    const keepThePlan = yield* keepingOf(spec, backing, place, sealNow, tellMade)
    const mirrors = yield* providerMirrors(folders.temporary, env)
    const workplace: Workplace = { engine: engine.name, directory: place.path, env }
    const lockFile = yield* readFile(place.root, [...place.directory, lockFileName], lockLimitBytes)
    const commands = stageCommands({
      stage: spec.stage,
      keeper: spec.pool === undefined ? "backend" : "server",
      options: spec.options,
      planFile: join(dataDirectory, ...planFile),
      savedPlan: Option.isSome(approved),
      writableLock: Option.exists(lockFile, (bytes) => needsWritableLock(engine.name, new TextDecoder().decode(bytes))),
      events
    })
    return { asApproved, commands, engineDirectory: folders.data, keepThePlan, mirrors, place, workplace }
  }
)

/**
 * Notes what is in the configuration before a plan that is to be kept. Returns what keeps the plan with what its apply will need, sealed as it
 * all is by then, from the modules as `init` left them, and gives the digest that an approval names. `tellMade` tells what planning made.
 */
const keepingOf = Effect.fnUntraced(
  function*<R, R2>(
    { stage }: AgentTaskSpec,
    { keepPlan }: Backing,
    place: Provisioned,
    sealNow: Effect.Effect<Seal, StageFailed, R>,
    tellMade: Effect.Effect<unknown, StageFailed, R2>
  ) {
    if (stage !== "plan" || Option.isNone(keepPlan)) return Option.none()
    const before = yield* untilStopped(marksOf(place.root))
    return Option.some(Effect.fnUntraced(function*(broughtModules: Marks) {
      yield* untilStopped(packCarried(place, before, broughtModules))
      yield* untilStopped(tellMade)
      return yield* untilStopped(Effect.flatMap(sealNow, (seal) => keepPlan.value(place, seal)))
    }))
  }
)

/** Brings the configuration and, if there is one, the approved plan with its seal. */
const bring = Effect.fnUntraced(function*(spec: AgentTaskSpec, variables: Variables, { bringPlan, bringSource }: Backing) {
  const place = yield* provision(spec, variables, bringSource)
  return { place, approved: Option.isSome(bringPlan) ? Option.some(yield* bringPlan.value(place)) : Option.none() }
})

/** Writes the first lines of the log. Fails when the engine has another version than the task asks for. */
const introduce = Effect.fnUntraced(function*(spec: AgentTaskSpec, { name, version }: Seal["engine"], shown: ReadonlyArray<string>) {
  const { line } = yield* Log
  const { pod, timeoutLimitSeconds } = yield* Settings
  yield* line(`Worker: Pod ${pod.name} on node ${pod.node}`)
  yield* line(`Engine: ${name} ${version}`)
  yield* line(`Workspace: ${spec.workspace}, ${spec.stage}`)
  const limited = Option.filter(timeoutLimitSeconds, (seconds) => seconds < (spec.timeoutSeconds ?? defaultTimeoutSeconds))
  if (Option.isSome(limited)) {
    yield* line(`Timeout: ${limited.value} seconds, since task.job.activeDeadlineSeconds allows no more`)
  }
  yield* Effect.forEach(shown, line, { discard: true })
  const wanted = spec.engine?.version
  if (wanted !== undefined && wanted !== version) {
    return yield* invalid(
      `The runner image has ${name} ${version}, but the task asks for ${wanted}; use another image or leave engine.version out.`
    )
  }
})

/**
 * Fails where a plan would destroy all that the state has, since there is no configuration. The engines refuse that themselves, but not where
 * our file names the backend, which they take for a configuration.
 */
const refuseToPlanNothing = Effect.fnUntraced(
  function*({ backend, options, pool, stage }: AgentTaskSpec, { directory, root }: Provisioned, { name, version }: Seal["engine"]) {
    if ((pool === undefined && backend === undefined) || stage === "destroy" || options?.destroy === true) return
    const tofu = readsTofuFiles(name, version)
    const names = yield* namesIn(root, directory)
    if (!names.some((one) => isConfiguration(one, tofu))) {
      return yield* invalid(noConfiguration(directory.join("/"), `${name} ${version}`, tofu))
    }
  }
)
