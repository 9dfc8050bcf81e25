// The work of `agent-job state …`: asks the server for the state of a workspace, or for a change of it, and prints what it answers.
// Used by cli/commands/state.
import { Clock, Config, Effect, Option } from "effect"
import { closeSync, openSync, rmSync, writeFileSync } from "node:fs"
import { hostname, userInfo } from "node:os"
import { importBlocks } from "../../core/state/import-blocks.ts"
import type { StateView } from "../../schema/api/state.ts"
import { errorInWords } from "../../schema/system-error.ts"
import { readInput } from "../files/input.ts"
import { readSeen, seenIn } from "../flags/seen.ts"
import type { ServerFlags } from "../flags/settings.ts"
import { askServer, type WithServer } from "../server/with-server.ts"
import { type Format, print } from "../terminal/answer.ts"
import { BadInput, hadNoEffect, isAwayForNow, NothingThere, type ServerUnreachable } from "../terminal/failure.ts"
import { Screen } from "../terminal/screen.ts"
import { type RescueFlags, Wish, wishOf } from "./rescue-wish.ts"
import { importLines, rescueLines, stateLines } from "./state-rows.ts"

interface Given extends ServerFlags {
  readonly workspace: string
  readonly output: Format
}
type Client = WithServer["server"]

/** The user's name. In a container there is often no account for the user's number, and so none that the system knows. */
const user = Effect.try({ try: () => userInfo().username, catch: () => undefined }).pipe(
  Effect.catch(() => Config.NonEmptyString("USER").pipe(Config.orElse(() => Config.NonEmptyString("LOGNAME")))),
  Effect.orElseSucceed(() => `uid ${process.geteuid?.()}`)
)

/** The person who runs the command, as USER@HOST: the engines name the holders of their locks so. */
const me = Effect.map(user, (name) => `${name}@${hostname()}`)

/** Asks the server and prints its answer, for a person as the lines that `form` makes of it. */
const answering = <A extends object, E>(
  given: Given,
  ask: (client: Client) => Effect.Effect<A, E, Screen>,
  form: (said: A, now: number) => ReadonlyArray<string>,
  again?: (error: ServerUnreachable) => boolean
) =>
  askServer(
    given,
    Effect.fnUntraced(function*({ server }) {
      const document = yield* ask(server)
      yield* print(given.output, { document, lines: form(document, yield* Clock.currentTimeMillis) })
    }),
    again
  )

/** Reports whether a request that must not be carried out twice may be sent again. */
const hadNoEffectForNow = (error: ServerUnreachable): boolean => isAwayForNow(error) && hadNoEffect(error)

const stateFile = (path: string) =>
  Effect.tryPromise({
    try: () => readInput(path),
    catch: (cause) =>
      new BadInput({ message: `${path} cannot be read (${errorInWords(cause)}); name the file of a state that you may read.` })
  })

export const show = (given: Given & { readonly evidence: Option.Option<string> }) =>
  Option.match(given.evidence, {
    onNone: () => answering(given, (client) => client.state(given.workspace), stateLines),
    onSome: (evidence) =>
      askServer(
        given,
        ({ screen, server }) => Effect.flatMap(server.evidence(given.workspace, evidence), screen.copy)
      )
  })

export const push = Effect.fnUntraced(function*(given: Given & { readonly file: string; readonly replace: Option.Option<string> }) {
  const bytes = yield* stateFile(given.file)
  yield* answering(given, (client) => client.pushState(given.workspace, bytes, given.replace), stateLines)
})

/** Writes a file that is not there yet, or leaves none: half of the blocks would import half, and look like all. */
const writeNew = (file: string, text: string): void => {
  const descriptor = openSync(file, "wx")
  try {
    writeFileSync(descriptor, text)
  } catch (error) {
    rmSync(file)
    throw error
  } finally {
    closeSync(descriptor)
  }
}

/** Writes import blocks for what the state lacks. Fails if the file exists, so that it overwrites nothing. */
const writeBlocks = (given: Given, file: string) =>
  askServer(
    given,
    Effect.fnUntraced(function*({ screen, server }) {
      const looked = yield* server.state(given.workspace)
      const { pending, workspace } = looked
      const blocks = pending.flatMap(({ effects }) => effects === undefined ? [] : [importBlocks(effects)]).join("\n")
      if (blocks === "") {
        return yield* new NothingThere({
          message:
            `Nothing is known to be missing in the state of ${workspace}, so there are no blocks to write; look at what is in doubt with: agent-job state rescue ${workspace}`
        })
      }
      yield* Effect.try({
        try: () => writeNew(file, blocks),
        catch: (cause) =>
          new BadInput({
            message: `${file} cannot be written (${errorInWords(cause)}); choose a new file in a directory that you may write to.`
          })
      })
      yield* screen.line(
        `Wrote ${file}. Put it into the configuration, settle with: agent-job state rescue ${workspace} --keep --seen ${
          seenIn(looked)
        }, and run the configuration before anything else does.`
      )
    })
  )

const bring = Effect.fnUntraced(function*(given: Given, file: string) {
  const bytes = yield* stateFile(file)
  yield* answering(given, (client) => client.bringEvidence(given.workspace, bytes), rescueLines)
})

const settle = Effect.fnUntraced(function*(given: Given, { seen, use }: Pick<RescueFlags, "seen" | "use">) {
  const by = yield* me
  let ids = Option.getOrUndefined(seen)
  yield* answering(
    given,
    Effect.fnUntraced(function*(client: Client) {
      ids ??= seenIn(yield* client.state(given.workspace))
      return yield* client.settleRescue(given.workspace, { by, ...(Option.isSome(use) && { use: use.value }), ...readSeen(ids) })
    }),
    (state, now) => (state.pending.length === 0 ? stateLines : rescueLines)(state, now),
    (error) => ids === undefined ? isAwayForNow(error) : hadNoEffectForNow(error)
  )
})

export const rescue = Effect.fnUntraced(function*(given: Given & RescueFlags) {
  yield* Wish.$match(yield* wishOf(given), {
    Look: () => answering(given, (client) => client.state(given.workspace), rescueLines),
    Settle: (wish) => settle(given, wish),
    Import: () => answering(given, (client) => client.importMissing(given.workspace), importLines, hadNoEffectForNow),
    Bring: ({ file }) => bring(given, file),
    WriteBlocks: ({ file }) => writeBlocks(given, file)
  })
})

/** Says that nothing was opened. Fails if a lock was named that the state does not have, nor had when it was opened by force before. */
const nothingOpened = Effect.fnUntraced(function*({ forcedUnlocks, workspace }: StateView, named: Option.Option<string>) {
  const screen = yield* Screen
  if (Option.isNone(named)) return yield* screen.line(`Nothing was opened: the state of ${workspace} is not locked.`)
  if (forcedUnlocks.some(({ lockId }) => lockId === named.value)) {
    return yield* screen.line(
      `Nothing was opened: the state of ${workspace} is not locked any more, since the lock ${named.value} was opened by force before.`
    )
  }
  return yield* new NothingThere({
    message: `There is no lock ${named.value}: the state of ${workspace} is not locked; see: agent-job state show ${workspace}`
  })
})

export const unlock = Effect.fnUntraced(function*(given: Given & { readonly force: boolean; readonly lock: Option.Option<string> }) {
  if (!given.force) {
    return yield* new BadInput({
      message:
        `Who holds the lock may still write; look with \`agent-job state show ${given.workspace}\`, and say --force --lock LOCK when its holder is surely gone.`
    })
  }
  const by = yield* me
  let first: StateView | undefined // so that a request that is sent again is for the same lock, and knows it as opened
  return yield* answering(
    given,
    Effect.fnUntraced(function*(client: Client) {
      const now = first ??= yield* client.state(given.workspace)
      const lock = Option.isSome(given.lock) ? given.lock.value : now.lock?.id
      const after = lock === undefined ? now : yield* client.forceUnlock(given.workspace, by, lock)
      const wasOpened = after.forcedUnlocks.some(({ epoch, lockId }) => lockId === lock && epoch >= now.epoch)
      if (!wasOpened) yield* nothingOpened(after, given.lock)
      return after
    }),
    stateLines
  )
})
