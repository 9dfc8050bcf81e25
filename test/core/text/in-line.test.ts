import { expect, it } from "vitest"
import { inLine } from "../../../src/core/text/in-line.ts"

it("has one blank for each white space, and none at its ends", () =>
  expect(inLine("\n MountVolume failed:\r\n\texit  status 32\n")).toBe("MountVolume failed: exit status 32"))
