// `agent-job state …`: shows the state of a workspace, brings one, settles it when it is in doubt, and opens its lock.
// Used by agent-job.ts.
import { Clock, Config, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { readFileSync, writeFileSync } from "node:fs"
import { hostname, userInfo } from "node:os"
import { errorInWords } from "../../core/text/system-error.ts"
import type { StateView } from "../../schema/api/state.ts"
import { readSeen, seenIn } from "../flags/seen.ts"
import { inputFlag, pathFlag, type ServerFlags, serverFlags, toggle } from "../flags/settings.ts"
import { forPrograms, type WithServer, withServer } from "../server/with-server.ts"
import { outputFlag, print } from "../terminal/answer.ts"
import { BadInput, Failed, NothingThere } from "../terminal/failure.ts"
import { loading } from "../terminal/lazily.ts"

const workspace = Argument.String("WORKSPACE").pipe(Argument.withDescription("The name of the workspace."))
const common = { workspace, output: outputFlag, ...serverFlags }

/** The user's name. In a container there is often no account for the user's number, and so none that the system knows. */
const user = Effect.try({ try: () => userInfo().username, catch: () => undefined }).pipe(
  Effect.catch(() => Config.NonEmptyString("USER").pipe(Config.orElse(() => Config.NonEmptyString("LOGNAME")))),
  Effect.orElseSucceed(() => `uid ${process.geteuid?.()}`)
)

/** The person who runs the command, as USER@HOST: the engines name the holders of their locks so. */
const me = Effect.map(user, (name) => `${name}@${hostname()}`)

type Given = ServerFlags & { readonly workspace: string; readonly output: Parameters<typeof print>[0] }
type Client = WithServer["server"]
type Rows = typeof import("../run/state-rows.ts")

/** Asks the server and prints its answer, for a person as the lines that `form` makes of it. */
const answering = <A extends object, E>(
  given: Given,
  ask: (client: Client) => Effect.Effect<A, E>,
  form: (rows: Rows) => (said: A, now: number) => ReadonlyArray<string>
) =>
  withServer(
    given,
    forPrograms,
    Effect.fnUntraced(function*({ server }) {
      const rows = yield* loading(() => import("../run/state-rows.ts"))
      const document = yield* ask(server)
      yield* print(given.output, { document, lines: form(rows)(document, yield* Clock.currentTimeMillis) })
    })
  )
const asState = ({ stateLines }: Rows) => stateLines
const asRescue = ({ rescueLines }: Rows) => rescueLines

const show = Command.make(
  "show",
  {
    ...common,
    evidence: Flag.String("evidence").pipe(
      Flag.withMetavar("EVIDENCE"),
      Flag.optional,
      Flag.withDescription("Print this refused state as it is, secrets included.")
    )
  },
  Effect.fn("state show")(function*(given) {
    const { evidence } = given
    if (Option.isNone(evidence)) return yield* answering(given, (client) => client.state(given.workspace), asState)
    return yield* withServer(
      given,
      forPrograms,
      ({ screen, server }) => Effect.flatMap(server.evidence(given.workspace, evidence.value), screen.copy)
    )
  })
).pipe(
  Command.withDescription("Show what is stored, who has the lock, which states were refused, and what waits to be settled."),
  Command.withExamples([
    { command: "agent-job state show demo" },
    { command: "agent-job state show demo --evidence ev-k3v9x2 >refused.tfstate" }
  ])
)

/** Writes import blocks for what the state lacks. Fails if the file exists, so that it overwrites nothing. */
const writingImports = (given: Omit<Given, "output">, file: string) =>
  withServer(
    given,
    forPrograms,
    Effect.fnUntraced(function*({ screen, server }) {
      const { importBlocks } = yield* loading(() => import("../../core/state/import-blocks.ts"))
      const looked = yield* server.state(given.workspace)
      const { pending, workspace } = looked
      const blocks = pending.flatMap(({ effects }) => effects === undefined ? [] : [importBlocks(effects)]).join("\n")
      if (blocks === "") {
        return yield* new NothingThere({
          message: `Nothing that was made is missing in the state of ${workspace}, so there is nothing to import.`
        })
      }
      yield* Effect.try({
        try: () => writeFileSync(file, blocks, { flag: "wx" }),
        catch: (cause) =>
          new BadInput({
            message: `${file} cannot be written (${errorInWords(cause)}); choose a new file in a directory that you may write to.`
          })
      })
      yield* screen.result(
        `Wrote ${file}. Put it into the configuration, settle with: agent-job state rescue ${workspace} --keep --seen ${
          seenIn(looked)
        }, and run the configuration before anything else does.\n`
      )
    })
  )

const stateFile = (path: string) =>
  Effect.try({
    try: () => readFileSync(path),
    catch: (cause) =>
      new BadInput({
        message: `${path} cannot be read (${errorInWords(cause)}); name the file of a state that you may read.`
      })
  })

const bringing = Effect.fnUntraced(function*(given: Given, path: string) {
  const bytes = yield* stateFile(path)
  yield* answering(given, (client) => client.bringEvidence(given.workspace, bytes), asRescue)
})

const push = Command.make(
  "push",
  {
    ...common,
    file: Argument.String("FILE").pipe(Argument.withDescription("The file with the state, as `tofu state pull` writes it.")),
    replace: Flag.String("replace").pipe(
      Flag.withMetavar("VERSION"),
      Flag.optional,
      Flag.withDescription("Put it in the place of this version, by the id that `state show` says, whatever lineage that has.")
    )
  },
  Effect.fn("state push")(function*(given) {
    const bytes = yield* stateFile(given.file)
    yield* answering(given, (client) => client.pushState(given.workspace, bytes, given.replace), asState)
  })
).pipe(
  Command.withDescription(
    "Store a state from elsewhere as the next version, while no run holds the workspace; it is made if it is not there."
  ),
  Command.withExamples([
    { command: "agent-job state push prod prod.tfstate" },
    { command: "agent-job state push prod prod.tfstate --replace sv-k3v9x2" }
  ])
)

const rescue = Command.make(
  "rescue",
  {
    ...common,
    use: Flag.String("use").pipe(
      Flag.withMetavar("EVIDENCE"),
      Flag.optional,
      Flag.withDescription("Make this refused state the next version.")
    ),
    keep: toggle("keep", "Go on with the stored state as it is."),
    seen: Flag.String("seen").pipe(
      Flag.withMetavar("IDS"),
      Flag.optional,
      Flag.withDescription(
        "With --use or --keep: settle only if nothing has changed since the `state rescue` that printed these ids: no new doubt, and no state stored or refused."
      )
    ),
    import: toggle("import", "Plan a run that imports what was made and is not in the state; you approve it like any other."),
    file: inputFlag("file").pipe(
      Flag.withMetavar("FILE"),
      Flag.optional,
      Flag.withDescription("Bring a state that was kept elsewhere as evidence; nothing is settled.")
    ),
    importBlocks: pathFlag("import-blocks").pipe(
      Flag.withMetavar("FILE"),
      Flag.optional,
      Flag.withDescription("Write import blocks for what was made and is not in the state; nothing is settled.")
    )
  },
  Effect.fn("state rescue")(function*(given) {
    if (
      [given.keep, given.import, Option.isSome(given.use), Option.isSome(given.file), Option.isSome(given.importBlocks)].filter((wanted) =>
        wanted
      ).length > 1
    ) {
      return yield* new BadInput({ message: "--use, --keep, --file, --import and --import-blocks exclude each other; give one of them." })
    }
    if (Option.isSome(given.seen) && !given.keep && Option.isNone(given.use)) {
      return yield* new BadInput({
        message: "--seen needs --use or --keep; add one of them."
      })
    }
    if (Option.isSome(given.importBlocks)) return yield* writingImports(given, given.importBlocks.value)
    if (Option.isSome(given.file)) return yield* bringing(given, given.file.value)
    if (given.import) return yield* answering(given, (client) => client.importMissing(given.workspace), ({ importLines }) => importLines)
    if (!given.keep && Option.isNone(given.use)) return yield* answering(given, (client) => client.state(given.workspace), asRescue)
    const by = yield* me
    const { use } = given
    return yield* answering(
      given,
      Effect.fnUntraced(function*(client: Client) {
        const seen = Option.isSome(given.seen) ? given.seen.value : seenIn(yield* client.state(given.workspace))
        return yield* client.settleRescue(given.workspace, { by, ...(Option.isSome(use) && { use: use.value }), ...readSeen(seen) })
      }),
      ({ rescueLines, stateLines }) => (state, now) => (state.pending.length === 0 ? stateLines : rescueLines)(state, now)
    )
  })
).pipe(
  Command.withDescription("Show what left the state in doubt, or settle it, so that the workspace goes on."),
  Command.withExamples([{ command: "agent-job state rescue demo" }, { command: "agent-job state rescue demo --use ev-k3v9x2" }, {
    command: "agent-job state rescue demo --import"
  }, { command: "agent-job state rescue demo --keep" }])
)

/**
 * Fails if another lock than `lock` was opened, as an older server does: it opens whatever lock there is. `epochBefore` is the epoch at the
 * look before; what was opened since then has that epoch or a later one.
 */
const openedAlone = (lock: string, by: string, epochBefore: number) => ({ forcedUnlocks, workspace }: StateView) => {
  const other = forcedUnlocks.find(({ epoch, forcedBy, lockId }) => epoch >= epochBefore && lockId !== lock && forcedBy.endsWith(by))
  return other === undefined ? Effect.void : Effect.fail(
    new Failed({
      message:
        `The lock ${other.lockId} of ${other.holder} was opened, and not ${lock}: a server that is older than this program opens whatever lock there is. What its holder writes from now on is kept as evidence, see \`agent-job state show ${workspace}\`; upgrade the server.`
    })
  )
}

const unlock = Command.make(
  "unlock",
  {
    ...common,
    force: toggle("force", "Open the lock though its holder may still be at work."),
    lock: Flag.String("lock").pipe(
      Flag.withMetavar("LOCK"),
      Flag.optional,
      Flag.withDescription("Only this lock, by the id that `state show` says; without it, whichever there is now.")
    )
  },
  Effect.fn("state unlock")(function*(given) {
    if (!given.force) {
      return yield* new BadInput({
        message:
          `Who holds the lock may still write; look with \`agent-job state show ${given.workspace}\`, and say --force --lock LOCK when its holder is surely gone.`
      })
    }
    const by = yield* me
    return yield* answering(
      given,
      Effect.fnUntraced(function*(client: Client) {
        const now = yield* client.state(given.workspace)
        const lock = Option.isSome(given.lock) ? given.lock.value : now.lock?.id
        return lock === undefined ? now : yield* Effect.tap(client.forceUnlock(given.workspace, by, lock), openedAlone(lock, by, now.epoch))
      }),
      asState
    )
  })
).pipe(
  Command.withDescription("Open the lock of a state by force: what its holder writes from then on is refused, and kept as evidence."),
  Command.withExamples([{ command: "agent-job state unlock demo --force --lock 6d1f0c3a-…" }])
)

export const state = Command.make("state").pipe(
  Command.withDescription("Look at the state of a workspace, bring one, settle it when it is in doubt, or open its lock."),
  Command.withSubcommands([show, push, rescue, unlock])
)
