// Addresses whose keys are secrets: how they are written, and what of them a state can be asked for.
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { knownOf, maskedAddress, numbered, unnumbered, withoutSomeKeys } from "../../../src/core/stage/masked-address.ts"
import { keyOf, writtenAddress } from "../../../src/core/stage/written-address.ts"
import { quoted } from "../../../src/core/text/hcl.ts"
import { mask } from "../../../src/core/text/redact.ts"
import { longestIdentity } from "../../../src/schema/api/effects.ts"

const hide = (secret: string) => (key: string) => key.replace(secret, mask)

describe("a masked address", () => {
  it.each([
    { address: `t.a["s3cret"]`, masked: `t.a["***"]` },
    { address: `module.s3cret["s3cret"].t.a[0]`, masked: `module.s3cret["***"].t.a[0]` },
    { address: `module.m["a\\"]s3cret"].t.a["b"]`, masked: `module.m["a\\"]***"].t.a["b"]` },
    { address: `module.m["long s3cret`, masked: `module.m["long ***` },
    { address: "t.s3cret", masked: "t.s3cret" }
  ])("of $address is $masked", ({ address, masked }) => expect(maskedAddress(address, hide("s3cret"))).toBe(masked))

  it.each([
    { nth: 1, written: `t.a["***"]` },
    { nth: 2, written: `t.a["***2"]` },
    { nth: 12, written: `t.a["***12"]` }
  ])("has the number of the $nth. thing that looks so, and can be read without it", ({ nth, written }) => {
    expect(numbered(`t.a["***"]`, nth)).toBe(written)
    expect(unnumbered(written)).toBe(`t.a["***"]`)
  })

  it.each([
    { address: `t.a["***"]`, known: `t.a["` },
    { address: `module.m["x"].t.a["***2"]`, known: `module.m["x"].t.a["` },
    { address: `module.m["***"].t.a["x"]`, known: "module.m[].t.a[] " },
    { address: `module.m["***"].t.a["***"]`, known: "module.m[].t.a[] " },
    { address: `t.a["x"]`, known: undefined }
  ])("$address says of the thing: $known", ({ address, known }) => expect(knownOf(address)).toBe(known))

  const place = Schema.Struct({
    modules: Schema.Array(Schema.String),
    own: Schema.Array(Schema.String).check(Schema.isMaxLength(1)),
    nth: Schema.Literals([1, 2, 3])
  })
  it.prop("says nothing that is not so of the thing", [place], ([{ modules, nth, own }]) => {
    for (const secret of [...modules, ...own]) {
      const index = (key: string) => `[${quoted(key === secret ? `x${key}s3cret` : key)}]`
      const address = [...modules.map((key) => `module.m${index(key)}`), `t.a${own.map(index).join("")}`].join(".")
      if (address.length + mask.length > longestIdentity.address) continue
      const known = knownOf(writtenAddress(numbered(maskedAddress(address, hide("s3cret")), nth)))
      expect(withoutSomeKeys(keyOf(writtenAddress(address)))).toContain(known)
    }
  })
})
