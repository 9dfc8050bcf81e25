// Reads what an engine says about the real things it makes, changes and destroys, as journal entries without their numbers.
// Invariant: only a line in the engine's own format gives an entry; every other line is skipped.
// Used by worker/stage/stage.ts, which reads them, and by core/stage/journal.ts.
import { Option, Schema } from "effect"
import { type EffectAction, type JournalEntry, longestIdentity } from "../../schema/api/effects.ts"
import { plainLines, plainText } from "./outcome.ts"
import { addressPattern } from "./resource-address.ts"
import { writtenAddress } from "./written-address.ts"

export type UnnumberedEntry = Omit<JournalEntry, "number">

const Event = Schema.Struct({
  type: Schema.Literals(["apply_start", "apply_complete", "apply_errored"]),
  hook: Schema.Struct({
    resource: Schema.Struct({ addr: Schema.String }),
    action: Schema.Literals(["create", "update", "delete"]),
    id_key: Schema.optionalKey(Schema.String),
    id_value: Schema.optionalKey(Schema.String)
  })
})
const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Event))

/** The call by which an engine has a provider make, change or destroy something, in every version of the protocol between them. */
const call = "ApplyResourceChange"
const Diagnostic = Schema.Struct({
  type: Schema.Literal("diagnostic"),
  diagnostic: Schema.Struct({ severity: Schema.Literal("error"), detail: Schema.String, address: Schema.String })
})
const decodeDiagnostic = Schema.decodeUnknownOption(Schema.fromJsonString(Diagnostic))

const kinds = { apply_start: "started", apply_complete: "done", apply_errored: "failed" } as const

const control = /\p{C}/u

/** Returns an entry. An id that is too long or has control characters is left out, because a part of an id identifies nothing. */
const told = (kind: UnnumberedEntry["kind"], action: EffectAction, address: string, idKey = "", id = ""): UnnumberedEntry => ({
  kind,
  action,
  address: writtenAddress(address),
  ...(idKey !== "" && id !== "" && !control.test(idKey + id) && idKey.length <= longestIdentity.idKey && id.length <= longestIdentity.id &&
    { idKey, id })
})

const unansweredAt = (address: string): UnnumberedEntry => ({ ...told("failed", "create", address), unanswered: true })

const fromHook = (line: string): Option.Option<UnnumberedEntry> =>
  line.includes(`"apply_`)
    ? Option.map(decode(line), ({ hook, type }) => told(kinds[type], hook.action, hook.resource.addr, hook.id_key, hook.id_value))
    : Option.none()

/**
 * Reads an error that both engines report at the end, with the name of the call as its code has it, when a call has no answer, above all
 * since the provider died (internal/plugin/grpc_error.go). Which action it was is not said: entries before tell whether it was a creation.
 */
const fromDiagnostic = (line: string): Option.Option<UnnumberedEntry> =>
  line.includes(call)
    ? Option.map(
      Option.filter(decodeDiagnostic(line), ({ diagnostic }) => diagnostic.detail.includes(call)),
      ({ diagnostic }) => unansweredAt(diagnostic.address)
    )
    : Option.none()

/** Reads a line of the machine-readable UI (`-json-into` of OpenTofu, or `-json`). */
export const fromEvent = (line: string): Option.Option<UnnumberedEntry> => Option.orElse(fromHook(line), () => fromDiagnostic(line))

// No output of a provisioner (`address (local-exec): …`) matches, since an address has blanks only inside a quoted key.
// What an action of Terraform prints has nothing before its lines but the first, so such a line of a nested engine does match (docs/state.md).
const address = String.raw`(${addressPattern})(?: \(deposed object [0-9a-f]+\))?`
const identity = String.raw`(?: \[([\w.-]+)=(.*)\])?$`
const beginning = new RegExp(`^${address}: (Creating|Modifying|Destroying)\\.\\.\\.${identity}`, "u")
const ending = new RegExp(`^${address}: (Creation|Modifications|Destruction) complete after [0-9hms.]+${identity}`, "u")

const actions: Readonly<Record<string, EffectAction>> = {
  Creating: "create",
  Creation: "create",
  Modifying: "update",
  Modifications: "update",
  Destroying: "delete",
  Destruction: "delete"
}

/** Reads a line that is printed for people. No such line reports a failure, but see `fromErrors`. */
const fromText = (line: string): Option.Option<UnnumberedEntry> => {
  if (!line.includes("ing...") && !line.includes(" complete after ")) return Option.none()
  const plain = plainText(line)
  const begun = beginning.exec(plain)
  const [, addr, word, idKey, id] = begun ?? ending.exec(plain) ?? []
  const action = actions[word ?? ""]
  return addr === undefined || action === undefined
    ? Option.none()
    : Option.some(told(begun === null ? "done" : "started", action, addr, idKey, id))
}

/** Reads a line of the engine's output, which is all that Terraform offers: text for people, or events if its arguments have -json. */
export const fromLog = (line: string): Option.Option<UnnumberedEntry> => Option.orElse(fromEvent(line), () => fromText(line))

const within = new RegExp(`^with (${addressPattern}),$`, "u")

/** Reads the errors at the end of a log for people. One that `fromDiagnostic` reads has there the address in a line before that of the call. */
export const fromErrors = (log: string): ReadonlyArray<UnnumberedEntry> => {
  const found: Array<UnnumberedEntry> = []
  let address = ""
  for (const line of log.includes(call) ? plainLines(log) : []) {
    if (line.startsWith("Error: ")) address = ""
    else if (line.includes(call) && address !== "") found.push(unansweredAt(address))
    else address = within.exec(line)?.[1] ?? address
  }
  return found
}
