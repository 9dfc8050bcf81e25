// A result as its container's termination message: JSON whose message comes last, since the kubelet may cut off the end.
// Invariant: what is written decodes as a StageResult in a Pod with up to 28 containers; only its message may be shorter.
// Written by worker/task/report; read by core/task/seen, when a Pod ended and the status has no result.
import { Option, Schema } from "effect"
import { StageResult, ToldResult } from "../../schema/task/stage-result.ts"
import { shortened } from "../text/sentence.ts"
import { plainly } from "./task-result.ts"

/**
 * The most that the kubelet keeps of a termination message, in bytes. It also shares 12 KiB equally among all containers of the Pod: ours has
 * three, and sidecars and webhooks add theirs.
 */
export const lastWordsBytes = 4096

const encode = Schema.encodeSync(StageResult)
const size = (text: string): number => new TextEncoder().encode(text).length

export const lastWords = (result: StageResult): string => {
  const { message, ...rest } = encode(result)
  const text = JSON.stringify({ ...rest, message })
  const excess = size(text) - lastWordsBytes
  return excess <= 0
    ? text
    : lastWords({ ...result, message: shortened(result.message, Math.max(1, result.message.length - Math.ceil(excess / 6) - 1)) })
}

/** Ends the message of words that were cut at a byte: of a character or an escape, a part may be left. */
const closed = (cut: string): string =>
  `${cut.replace(/\uFFFD*$/u, "").replace(/.$/su, "").replace(/(?<!\\)((?:\\\\)*)\\(?:u[0-9a-f]{0,3})?$/u, "$1")}…"}`

const decodeTold = Schema.decodeUnknownOption(Schema.fromJsonString(ToldResult))

/** Decodes the last words of a worker, even of a newer one after a downgrade: how its stage ended matters more than an unknown reason. */
export const decodeLastWords = (words: string): Option.Option<StageResult> =>
  decodeTold(words).pipe(Option.orElse(() => decodeTold(closed(words))), Option.map(plainly))
