import { describe, expect, it } from "@effect/vitest"
import { secretsLeft, withoutSecrets } from "../../../src/core/migration/inline-secrets.ts"
import { configOf } from "../configs.ts"

const taken = (values: object) => withoutSecrets({ ...values }, "blue", "blue-token")

describe("a secret in the clear", () => {
  it.each([
    {
      given: { agent: { token: "hunter2" } },
      values: { agent: { tokenExistingSecret: { name: "blue-token", key: "token" } } },
      secret: { name: "blue-token", data: { token: ["agent", "token"] } }
    },
    {
      given: { agent: { auth: { token: "hunter2" } } },
      values: { agent: { tokenExistingSecret: { name: "blue-token", key: "token" } } },
      secret: { name: "blue-token", data: { token: ["agent", "auth", "token"] } }
    },
    {
      given: {
        task: { runner: { extraEnv: { REGION: "eu", AWS_SECRET_ACCESS_KEY: "hunter2" }, extraEnvFrom: [{ configMapRef: { name: "c" } }] } }
      },
      values: {
        task: {
          runner: {
            extraEnv: { REGION: "eu", AWS_SECRET_ACCESS_KEY: "$(AWS_SECRET_ACCESS_KEY)" },
            extraEnvFrom: [{ configMapRef: { name: "c" } }, { secretRef: { name: "blue-runner-env" } }]
          }
        }
      },
      secret: { name: "blue-runner-env", data: { AWS_SECRET_ACCESS_KEY: ["task", "runner", "extraEnv", "AWS_SECRET_ACCESS_KEY"] } }
    },
    {
      given: { global: { extraEnv: { HTTPS_PROXY: "http://user:hunter2@proxy:3128", NO_PROXY: "http://proxy:3128" } } },
      values: {
        global: {
          extraEnv: { HTTPS_PROXY: "$(HTTPS_PROXY)", NO_PROXY: "http://proxy:3128" },
          extraEnvFrom: [{ secretRef: { name: "blue-env" } }]
        }
      },
      secret: { name: "blue-env", data: { HTTPS_PROXY: ["global", "extraEnv", "HTTPS_PROXY"] } }
    },
    {
      given: { global: { tls: { clientCert: "hunter2", clientKey: "hunter2" } } },
      values: { global: { tls: { clientCertSecret: { name: "blue-client-certificate" } } } },
      secret: {
        name: "blue-client-certificate",
        data: { "tls.crt": ["global", "tls", "clientCert"], "tls.key": ["global", "tls", "clientKey"] }
      }
    },
    {
      given: { agent: { providerNetworkMirrors: [{ url: "https://a" }, { url: "https://b", token: "hunter2" }] } },
      values: { agent: { providerNetworkMirrors: [{ url: "https://a" }, { url: "https://b", tokenSecret: { name: "blue-mirror-1" } }] } },
      secret: { name: "blue-mirror-1", data: { token: ["agent", "providerNetworkMirrors", 1, "token"] } }
    },
    {
      given: {
        task: {
          sidecars: [{ name: "plain", env: [{ name: "REGION", value: "eu" }] }, {
            name: "db",
            env: [
              { name: "DB_PASSWORD", value: "hunter2" },
              { name: "REGION", value: "eu" },
              { name: "API_TOKEN", valueFrom: { secretKeyRef: { name: "mine", key: "k" } } },
              { name: "URL", value: "https://me:hunter2@db" }
            ]
          }]
        }
      },
      values: {
        task: {
          sidecars: [{ name: "plain", env: [{ name: "REGION", value: "eu" }] }, {
            name: "db",
            env: [
              { name: "DB_PASSWORD", valueFrom: { secretKeyRef: { name: "blue-sidecar-db-env", key: "DB_PASSWORD" } } },
              { name: "REGION", value: "eu" },
              { name: "API_TOKEN", valueFrom: { secretKeyRef: { name: "mine", key: "k" } } },
              { name: "URL", valueFrom: { secretKeyRef: { name: "blue-sidecar-db-env", key: "URL" } } }
            ]
          }]
        }
      },
      secret: {
        name: "blue-sidecar-db-env",
        data: { DB_PASSWORD: ["task", "sidecars", 1, "env", 0, "value"], URL: ["task", "sidecars", 1, "env", 3, "value"] }
      }
    }
  ])("becomes the name of a Secret, and a path to it: $given", ({ given, secret, values }) => {
    const result = taken(given)
    expect(result).toEqual({ values, secrets: [secret] })
    expect(JSON.stringify(result)).not.toContain("hunter2")
  })

  it.each([
    ["DB_PASS", "hunter2"],
    ["PGPWD", "hunter2"],
    ["API_KEY_V2", "hunter2"],
    ["SIGNING_KEY", "hunter2"],
    ["my.password", "hunter2"],
    ["SENTRY_DSN", "https://hunter2@example.com/1"],
    ["PIN_TOKEN", 1234],
    ["DB_PASSWORD", 12345678],
    ["API_TOKEN", 123456789012],
    ["AWS_SECRET_ACCESS_KEY", "/hunter2hunter2hunter2hunter2hunter2hunt"],
    ["NPM_AUTH", "hunter2"],
    ["PROXY_AUTHORIZATION", "hunter2"],
    ["VAULT_JWT", "hunter2"],
    ["SLACK_WEBHOOK_URL", "https://hooks.example.com/services/hunter2"],
    ["STORAGE_CONNECTION_STRING", "Host=db;User=hunter2"],
    ["STORAGE", "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=hunter2=="],
    ["AUTH_HEADER", "Authorization: Basic hunter2"],
    ["HEADER", "Bearer hunter2"],
    ["TF_CLI_ARGS_init", "-backend-config=access_key=hunter2"],
    ["JAVA_OPTS", "-Dpassword=hunter2"],
    ["TF_ENCRYPTION", "key_provider \"pbkdf2\" \"k\" { passphrase = \"hunter2\" }"],
    ["GITHUB_PAT", "hunter2"],
    ["DOCKER_AUTH_CONFIG", "{\"auths\":{\"r\":{\"auth\":\"hunter2\"}}}"],
    ["GIT_CONFIG_VALUE_0", "https://ghp_hunter2hunter2@github.com/"],
    ["GIT_CONFIG_VALUE_1", "https://ghp_hunter2hunter2:@github.com/"],
    ["CERTIFICATE", "-----BEGIN EC PRIVATE KEY-----\nhunter2\n"]
  ])("is known by its name or its value: %s", (name, value) => {
    expect(taken({ agent: { extraEnv: { REGION: "eu", [name]: value } } })).toEqual({
      values: { agent: { extraEnv: { REGION: "eu", [name]: `$(${name})` }, extraEnvFrom: [{ secretRef: { name: "blue-agent-env" } }] } },
      secrets: [{ name: "blue-agent-env", data: { [name]: ["agent", "extraEnv", name] } }]
    })
  })

  it.each([
    ["PASSIVE", "yes"],
    ["KEYBOARD", "us"],
    ["BYPASS_PROXY", "no"],
    ["BYPASS", "some"],
    ["COMPASS", "north"],
    ["MAX_TOKENS", 4096],
    ["MAX_TOKENS_TEXT", "4096"],
    ["TOKEN_TTL", "1h"],
    ["TOKEN_FACTOR", 0.5],
    ["USE_TOKENS", "true"],
    ["SECRETS_DIR", "secrets"],
    ["SECRET_PATH", "kv/app"],
    ["GOOGLE_APPLICATION_CREDENTIALS", "/var/run/google/key.json"],
    ["AWS_WEB_IDENTITY_TOKEN_FILE", "token"],
    ["JWT_ISSUER", "https://example.com"],
    ["WEBHOOK_NAME", "plan"],
    ["AUTHOR", "ada"],
    ["TF_CLI_ARGS_plan", "-var=access_key=$(ACCESS_KEY) -lock=false"],
    ["USE_TOKEN", true],
    ["JAVA_COMPAT", "yes"],
    ["SPAT", "yes"],
    ["MODULES", "ssh://git@github.com/a"],
    ["DATABASE", "postgres://application@db"],
    ["MAIL", "https://example.com/?to=somebody-with-a-name@example.com"],
    ["TF_ENCRYPTION_NAME", "pbkdf2"],
    ["PASSWORD", ""],
    [
      "PGPASSWORD",
      "$(OTHER)"
    ],
    [
      "DATABASE_URL",
      "postgres://me:$(OTHER)@db"
    ],
    ["DB_DSN", "postgres://me:$(OTHER)@db"],
    ["AWS_WEB_IDENTITY_TOKEN_FILE", "$(RUN_DIR)/token"]
  ])(
    "is not any variable: %s",
    (name, value) => {
      expect(taken({ agent: { extraEnv: { [name]: value } } })).toEqual({ values: { agent: { extraEnv: { [name]: value } } }, secrets: [] })
    }
  )

  it.each([
    { with: "a prefix", from: { prefix: "X_", secretRef: { name: "blue-agent-env" } }, isAdded: true },
    { with: "another name", from: { secretRef: { name: "other" } }, isAdded: true },
    { with: "its own name", from: { secretRef: { name: "blue-agent-env" } }, isAdded: false }
  ])("comes from a Secret of its own, also beside one with $with", ({ from, isAdded }) => {
    const { values } = taken({ agent: { extraEnv: { DB_PASSWORD: "hunter2" }, extraEnvFrom: [from] } })
    expect(values).toMatchObject({ agent: { extraEnvFrom: isAdded ? [from, { secretRef: { name: "blue-agent-env" } }] : [from] } })
  })

  it("stays where it is beside a reference, which Kubernetes does not replace in what a Secret gives", () => {
    const own = "https://$(USER):hunter2@db"
    const given = {
      global: { extraEnv: { USER: "ada", URL: own } },
      task: { sidecars: [{ name: "db", env: [{ name: "USER", value: "ada" }, { name: "URL", value: own }] }] }
    }
    expect(taken(given)).toEqual({ values: given, secrets: [] })
    expect(secretsLeft(given)).toEqual([["global", "extraEnv", "URL"], ["task", "sidecars", 0, "env", 1, "value"]])
    expect(secretsLeft({ global: { extraEnv: { URL: "https://$(USER):$(PASSWORD)@db", DB_PASSWORD: "hunter2" } } })).toEqual([])
  })

  it.each([
    { name: "DB_PASSWORD", value: "$(ENV)-hunter2", isSecret: true },
    { name: "TF_VAR_db_password", value: "Tr0ub4dor$(&)3", isSecret: true },
    { name: "API_TOKEN", value: "$$(ENV)$(ENV)$$", isSecret: true },
    { name: "SENTRY_DSN", value: "https://hunter2@$(HOST)/1", isSecret: true },
    { name: "SLACK_WEBHOOK_URL", value: "https://$(HOST)/services/hunter2", isSecret: true },
    { name: "API_TOKEN", value: "Bearer $(TOKEN)hunter2", isSecret: true },
    { name: "API_TOKEN", value: "Bearer $(TOKEN)", isSecret: false },
    { name: "DB_DSN", value: "postgres://me:$(OTHER)@db", isSecret: false },
    { name: "DB_DSN", value: "host=db user=me password=$(OTHER)", isSecret: false },
    { name: "TF_ENCRYPTION", value: "key_provider \"pbkdf2\" \"k\" { passphrase = \"$(OTHER)\" }", isSecret: false },
    { name: "DOCKER_AUTH_CONFIG", value: "{\"auths\":{\"r\":{\"auth\":\"$(OTHER)\"}}}", isSecret: false },
    { name: "BASIC_AUTH", value: "$(USER):$(PASSWORD)", isSecret: false },
    { name: "REGION", value: "$(ENV)-eu", isSecret: false }
  ])("stays there, and is told of, by its name too, unless the reference is the secret: $name=$value", ({ isSecret, name, value }) => {
    const given = { agent: { extraEnv: { [name]: value } } }
    expect(taken(given)).toEqual({ values: given, secrets: [] })
    expect(secretsLeft(given)).toEqual(isSecret ? [["agent", "extraEnv", name]] : [])
  })

  it.each([
    { given: { task: { runner: { extraEnv: { DB_PASSWORD: "hun$$(ter)2", GITHUB_PAT: "hunter2" } } } }, name: "blue-runner-env" },
    {
      given: {
        task: { sidecars: [{ name: "db", env: [{ name: "DB_PASSWORD", value: "hunter$$2" }, { name: "GITHUB_PAT", value: "hunter2" }] }] }
      },
      name: "blue-sidecar-db-env"
    }
  ])("with an escaped $ is moved, and says that its Secret has to have it bare: $name", ({ given, name }) => {
    const { secrets, values } = taken(given)
    expect(secrets).toMatchObject([{ name, escaped: ["DB_PASSWORD"] }])
    expect(JSON.stringify(values)).not.toContain("hun")
  })

  it.each([
    { beside: "a farther variable of its name", values: { global: { extraEnv: { HTTPS_PROXY: "" } } } },
    { beside: "a farther one that is made of others", values: { global: { extraEnv: { HTTPS_PROXY: "$(OTHER)" } } } },
    { beside: "the proxy of all containers", values: { global: { proxy: { enabled: true, httpsProxy: "http://plain:3128" } } } }
  ])("stays in effect over $beside", ({ values }) => {
    const moved = taken({ ...values, task: { runner: { extraEnv: { HTTPS_PROXY: "http://me:hunter2@proxy" } } } }).values
    const { env, envFrom } = configOf(moved).task.runner
    // Kubernetes replaces the reference by the value from the last of the Secrets.
    expect([env["HTTPS_PROXY"], env["https_proxy"], envFrom]).toEqual([
      "$(HTTPS_PROXY)",
      undefined,
      [{ secretRef: { name: "blue-runner-env" } }]
    ])
  })

  it("is found in the list of variables of later charts", () => {
    expect(taken({ agent: { controller: { extraEnv: [{ name: "REGION", value: "eu" }, { name: "DB_PASSWORD", value: "hunter2" }] } } }))
      .toEqual({
        values: {
          agent: {
            controller: {
              extraEnv: [{ name: "REGION", value: "eu" }, { name: "DB_PASSWORD", value: "$(DB_PASSWORD)" }],
              extraEnvFrom: [{ secretRef: { name: "blue-agent-controller-env" } }]
            }
          }
        },
        secrets: [{ name: "blue-agent-controller-env", data: { DB_PASSWORD: ["agent", "controller", "extraEnv", 1, "value"] } }]
      })
  })

  it("goes where it was not in effect: a token beside an existing Secret", () => {
    expect(taken({ agent: { token: "hunter2", tokenExistingSecret: { name: "mine", key: "k" } } })).toEqual({
      values: { agent: { tokenExistingSecret: { name: "mine", key: "k" } } },
      secrets: []
    })
  })
})

describe("no token at all", () => {
  it("means the Secret that the chart's Pods read, where a server is asked", () => {
    expect(taken({ agent: { url: "https://a" } }).values).toEqual({
      agent: { url: "https://a", tokenExistingSecret: { name: "agent-job", key: "token" } }
    })
    expect(taken({ nameOverride: "pool", agent: { url: "https://a" } }).values).toMatchObject({
      agent: { tokenExistingSecret: { name: "pool" } }
    })
    expect(taken({})).toEqual({ values: {}, secrets: [] })
  })
})

describe("a secret among the variables", () => {
  it.each([
    ["global", "blue-env"],
    ["agent", "blue-agent-env"],
    ["controller", "blue-controller-env"],
    ["agent.controller", "blue-agent-controller-env"],
    ["task.worker", "blue-worker-env"],
    ["task.runner", "blue-runner-env"]
  ])("of %s is moved into the Secret %s", (key, name) => {
    const path = [...key.split("."), "extraEnv"]
    const given = path.reduceRight<object>((inner, part) => ({ [part]: inner }), { DB_PASSWORD: "hunter2" })
    const { secrets, values } = taken(given)
    expect(JSON.stringify(values)).not.toContain("hunter2")
    expect(secrets).toEqual([{ name, data: { DB_PASSWORD: [...path, "DB_PASSWORD"] } }])
  })
})

it("a client certificate in the clear gives way to the Secret that the values name, as in the chart", () => {
  const clientCertSecret = { name: "mine" }
  expect(taken({ global: { tls: { clientCert: "hunter2", clientKey: "hunter2", clientCertSecret } } })).toEqual({
    secrets: [],
    values: { global: { tls: { clientCertSecret } } }
  })
})
