// Writes a result as its container's termination message: JSON that fits into what the kubelet keeps of it.
// Always holds: what is written decodes as a StageResult; only its message may be shorter.
// Written by worker/task/report, read by the controller when a Pod ended and the status has no result.
import { Schema } from "effect"
import { StageResult } from "../../schema/task/stage-result.ts"
import { shortened } from "../text/sentence.ts"

/**
 * What the kubelet surely keeps of a termination message, in bytes: it shares 12 KiB equally among all containers of the Pod, and cuts each
 * message at a byte. A Pod of ours has three containers, and sidecars and webhooks add theirs; this is enough for twelve.
 */
export const lastWordsBytes = 1024

const encode = Schema.encodeSync(Schema.fromJsonString(StageResult))
const size = (text: string): number => new TextEncoder().encode(text).length

export const lastWords = (result: StageResult): string => {
  const text = encode(result)
  const excess = size(text) - lastWordsBytes
  return excess <= 0
    ? text
    : lastWords({ ...result, message: shortened(result.message, Math.max(1, result.message.length - Math.ceil(excess / 6) - 1)) })
}
