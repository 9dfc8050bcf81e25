// Writes a result as its container's termination message: JSON that fits into the 4 KiB which the kubelet keeps.
// Always holds: what is written decodes as a StageResult; only its message may be shorter.
// Written by worker/task/report, read by the controller when a Pod ended and the status has no result.
import { Schema } from "effect"
import { StageResult } from "../../schema/task/stage-result.ts"
import { shortened } from "../text/sentence.ts"

/** What the kubelet keeps of a termination message, in bytes. */
export const lastWordsBytes = 4096

const encode = Schema.encodeSync(Schema.fromJsonString(StageResult))
const size = (text: string): number => new TextEncoder().encode(text).length

export const lastWords = (result: StageResult): string => {
  const text = encode(result)
  const excess = size(text) - lastWordsBytes
  return excess <= 0
    ? text
    : lastWords({ ...result, message: shortened(result.message, Math.max(1, result.message.length - Math.ceil(excess / 6) - 1)) })
}
