// Which variables of the runner's own environment an approval covers.
import { expect, it } from "@effect/vitest"
import { engineVariables } from "../../../src/core/stage/engine-environment.ts"

const environ = (variables: Readonly<Record<string, string>>) =>
  Object.entries(variables).map(([name, value]) => `${name}=${value}\0`).join("")

it.each([
  "TF_WORKSPACE",
  "TF_DATA_DIR",
  "TF_CLI_ARGS",
  "TF_CLI_ARGS_apply",
  "TF_CLI_CONFIG_FILE",
  "TF_VAR_region",
  "TF_HTTP_ADDRESS",
  "TF_ENCRYPTION",
  "TF_REATTACH_PROVIDERS"
])("%s of the runner is the engine's, whatever its value", (name) => {
  for (const value of ["", "one\ntwo=three", "é"]) {
    expect(engineVariables(environ({ PATH: "/bin", [name]: value }), {})).toEqual({ [name]: value })
  }
})

it.each([
  "AWS_REGION",
  "PATH",
  "MY_TF_VAR_a",
  "TF_LOG",
  "TF_LOG_PATH",
  "TF_TOKEN_registry_example_com",
  "TF_REGISTRY_DISCOVERY_RETRY",
  "TF_REGISTRY_CLIENT_TIMEOUT",
  "TF_PROVIDER_DOWNLOAD_RETRY",
  "TF_PLUGIN_CACHE_DIR",
  "TF_APPEND_USER_AGENT"
])(
  "%s of the runner is not the engine's, or says nothing of what is run",
  (name) => expect(engineVariables(environ({ [name]: "a" }), {})).toEqual({})
)

it("what the worker sets itself is not the runner's", () =>
  expect(engineVariables(environ({ TF_DATA_DIR: "/data/engine", TF_WORKSPACE: "dev" }), { TF_DATA_DIR: "/data/engine" })).toEqual({
    TF_WORKSPACE: "dev"
  }))

it.each(["", "\0", "TF_WORKSPACE", "=TF_VAR_a"])("there is none in %j", (environ) => expect(engineVariables(environ, {})).toEqual({}))
