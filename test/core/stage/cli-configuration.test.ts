import { describe, expect, it } from "@effect/vitest"
import { cliConfiguration, isToken } from "../../../src/core/stage/cli-configuration.ts"
import { configOf } from "../configs.ts"

const none = new Map<string, string>()
const of = (agent: object, tokens = none) => cliConfiguration(configOf({ agent }).task.mirrors ?? { filesystem: [], network: [] }, tokens)

describe("the engine's configuration file", () => {
  it("asks directories first, then mirrors, then the registries for what neither includes", () => {
    expect(of({
      providerFilesystemMirrors: [{ path: "/opt/providers", include: ["hashicorp/time"] }],
      providerNetworkMirrors: [{ url: "https://mirror.example.com/providers", include: ["hashicorp/*", "example.com/*/*"] }]
    })).toBe(`provider_installation {
  filesystem_mirror {
    path = "/opt/providers"
    include = ["hashicorp/time"]
  }
  network_mirror {
    url = "https://mirror.example.com/providers/"
    include = ["hashicorp/*","example.com/*/*"]
  }
  direct {
    exclude = ["hashicorp/time","hashicorp/*","example.com/*/*"]
  }
}
`.replaceAll(/^ {4}/gmu, "    "))
  })

  it("asks no registry when one of the mirrors includes everything", () => {
    const directory = { path: "/opt/providers", include: ["hashicorp/time"] }
    expect(of({ providerFilesystemMirrors: [directory], providerNetworkMirrors: [{ url: "https://mirror.example.com/" }] })).not.toContain(
      "direct"
    )
    expect(of({ providerNetworkMirrors: [{ url: "https://mirror.example.com/" }] })).toBe(`provider_installation {
  network_mirror {
    url = "https://mirror.example.com/"
  }
}
`)
  })

  it("has the token of a mirror's host, and of no other", () => {
    const text = of(
      { providerNetworkMirrors: [{ url: "https://mirror.example.com:8443/a/" }] },
      new Map([["mirror.example.com:8443", "abc"], ["other.example.com", "def"]])
    )
    expect(text).toContain(`credentials "mirror.example.com:8443" {\n  token = "abc"\n}\n`)
    expect(text).not.toContain("def")
  })

  it.each([["abc-._~+/9==", true], ["", false], ["a b", false], ["a\"b", false], ["${a}", false], ["a\n", false]])(
    "takes %j for a token: %s",
    (text, expected) => expect(isToken(text)).toBe(expected)
  )
})
