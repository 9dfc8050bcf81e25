import { expect, it } from "@effect/vitest"
import { inMebibytes } from "../../../src/worker/volume/mebibytes.ts"

it.each([[67_108_864, "64 MiB"], [1_000_000_000, "953 MiB"]])(
  "writes %i bytes as %s",
  (bytes, written) => expect(inMebibytes(bytes)).toBe(written)
)
