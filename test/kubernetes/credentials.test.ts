import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { TestClock } from "effect/testing"
import { chmod, mkdir, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { discover } from "../../src/kubernetes/credentials.ts"
import { inCluster } from "../../src/kubernetes/in-cluster.ts"
import { fromKubeconfig } from "../../src/kubernetes/kubeconfig.ts"
import { canBeNameless, nameless } from "../nameless.ts"
import { temporaryFolder } from "../temporary-folder.ts"

/** A directory with these files, for the length of the test. */
const directoryWith = (files: Record<string, string>) =>
  Effect.tap(
    temporaryFolder("credentials"),
    (directory) => Effect.promise(() => Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(directory, name), text))))
  )
const write = (directory: string, name: string, text: string) => Effect.promise(() => writeFile(join(directory, name), text))
/** Makes this the home of whoever runs the rest of the test. */
const homeIn = (directory: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const { HOME: home } = process.env
      process.env.HOME = directory
      return home
    }),
    (home) =>
      Effect.sync(() => {
        if (home === undefined) delete process.env.HOME
        else process.env.HOME = home
      })
  )
const environment = (variables: Record<string, string>) => Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(variables)))
const inPod = environment({ KUBERNETES_SERVICE_HOST: "10.0.0.1", KUBERNETES_SERVICE_PORT: "443" })

const kubeconfig = (
  { user = { token: "t" }, cluster = {}, current = "main" }: {
    readonly user?: object
    readonly cluster?: object
    readonly current?: string
  }
) =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": current,
    contexts: [
      { name: "main", context: { cluster: "here", user: "me", namespace: "team" } },
      { name: "other", context: { cluster: "there", user: "me" } }
    ],
    clusters: [
      { name: "here", cluster: { server: "https://here.example:6443//", ...cluster } }, // kubectl takes that, too
      { name: "there", cluster: { server: "https://there.example" } }
    ],
    users: [{ name: "me", user }]
  })
const from = (text: string, options: { readonly context?: string } = {}) =>
  Effect.flatMap(directoryWith({ config: text }), (directory) => fromKubeconfig({ path: join(directory, "config"), ...options }))

/** Returns a text that has the form of this authority's certificate. */
const authority = (name: string) => `-----BEGIN CERTIFICATE-----\n${name}\n-----END CERTIFICATE-----\n`
const unusableAuthorities = [
  { given: "is empty", text: "" },
  { given: "is junk", text: "no certificate" },
  { given: "is cut off", text: "-----BEGIN CERTIFICATE-----\nhalf" }
]

describe("credentials in a Pod", () => {
  const files = { "ca.crt": authority("first"), token: "one\n", namespace: "team\n" }

  it.effect("are the mounted token, authority and namespace", () =>
    Effect.gen(function*() {
      const credentials = yield* inCluster({ directory: yield* directoryWith(files) })
      expect(credentials).toMatchObject({ server: "https://10.0.0.1:443", namespace: "team", tls: { ca: authority("first") } })
      expect(yield* credentials.headers).toEqual({ authorization: "Bearer one" })
    }).pipe(inPod))

  it.effect("work from a projected volume that has no namespace, and with an IPv6 address", () =>
    Effect.gen(function*() {
      const credentials = yield* inCluster({ directory: yield* directoryWith({ "ca.crt": authority("first"), token: "one" }) })
      expect(credentials).toMatchObject({ server: "https://[fd00::1]:443", namespace: "default" })
    }).pipe(environment({ KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "443" })))

  it.effect("follow the token file after a minute, and at once when told that they were refused", () =>
    Effect.gen(function*() {
      const directory = yield* directoryWith(files)
      const { headers, refresh } = yield* inCluster({ directory })
      yield* write(directory, "token", "two")
      yield* TestClock.adjust("59 seconds")
      expect(yield* headers).toEqual({ authorization: "Bearer one" })
      yield* TestClock.adjust("2 seconds")
      expect(yield* headers).toEqual({ authorization: "Bearer two" })
      yield* write(directory, "token", "three")
      yield* TestClock.adjust("59 seconds")
      expect(yield* headers).toEqual({ authorization: "Bearer two" })
      yield* refresh
      expect(yield* headers).toEqual({ authorization: "Bearer three" })
    }).pipe(inPod))

  it.effect("follow the authority's file with the token's, and keep the old one while the file is empty, junk, cut off or missing", () =>
    Effect.gen(function*() {
      const directory = yield* directoryWith(files)
      const { headers, tls } = yield* inCluster({ directory })
      const afterAMinute = Effect.andThen(TestClock.adjust("61 seconds"), Effect.map(headers, () => tls.ca))
      yield* write(directory, "ca.crt", authority("next"))
      expect(yield* afterAMinute).toBe(authority("next"))
      for (const { given, text } of unusableAuthorities) {
        yield* write(directory, "ca.crt", text)
        expect(yield* afterAMinute, given).toBe(authority("next"))
      }
      yield* Effect.promise(() => rm(join(directory, "ca.crt")))
      expect(yield* afterAMinute).toBe(authority("next"))
    }).pipe(inPod))

  it.effect("follow the files of token and authority after a minute also when the wall clock was set back by a day", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.parse("2026-02-01T12:00:00Z"))
      const directory = yield* directoryWith(files)
      const { headers, tls } = yield* inCluster({ directory })
      yield* write(directory, "token", "two")
      yield* write(directory, "ca.crt", authority("next"))
      yield* TestClock.setTime(Date.parse("2026-01-31T12:00:00Z"))
      yield* TestClock.adjust("59 seconds")
      expect(yield* headers).toEqual({ authorization: "Bearer one" })
      yield* TestClock.adjust("2 seconds")
      expect([yield* headers, tls.ca]).toEqual([{ authorization: "Bearer two" }, authority("next")])
    }).pipe(inPod))

  it.effect("recover from a token file that was missing for a moment", () =>
    Effect.gen(function*() {
      const directory = yield* directoryWith(files)
      const { headers, refresh } = yield* inCluster({ directory })
      yield* Effect.promise(() => rm(join(directory, "token")))
      yield* refresh
      expect((yield* Effect.flip(headers)).message).toContain("token")
      yield* write(directory, "token", "back")
      expect(yield* headers).toEqual({ authorization: "Bearer back" })
    }).pipe(inPod))

  it.effect("recover from such a moment also when the wall clock was set back since", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.parse("2026-02-01T12:00:00Z"))
      const directory = yield* directoryWith(files)
      const { headers, refresh } = yield* inCluster({ directory })
      yield* Effect.promise(() => rm(join(directory, "token")))
      yield* refresh
      yield* Effect.flip(headers)
      yield* write(directory, "token", "back")
      yield* TestClock.setTime(Date.parse("2026-01-31T12:00:00Z"))
      expect(yield* headers).toEqual({ authorization: "Bearer back" })
    }).pipe(inPod))

  it.effect.each(unusableAuthorities)(
    "say that the authority's file has no certificate, where it $given",
    ({ text }) =>
      Effect.gen(function*() {
        const directory = yield* directoryWith({ ...files, "ca.crt": text })
        expect((yield* Effect.flip(inCluster({ directory }))).message).toMatch(
          /^Cannot use \S+\/ca\.crt: it holds no whole certificate; mount a service account there\.$/u
        )
      }).pipe(inPod)
  )

  it.effect("say what is missing", () =>
    Effect.gen(function*() {
      const directory = yield* directoryWith({ "ca.crt": authority("first") })
      expect((yield* inCluster({ directory }).pipe(inPod, Effect.flip)).message).toMatch(
        /^Cannot read \S+\/token: no such file or directory; mount a service account token there\.$/u
      )
      expect((yield* inCluster({ directory }).pipe(environment({}), Effect.flip)).message).toBe(
        "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not both set; run this in a Pod, or give a kubeconfig."
      )
    }))
})

describe("credentials of a kubeconfig", () => {
  it.effect("are those of the current context, or of the one asked for", () =>
    Effect.gen(function*() {
      const current = yield* from(kubeconfig({ user: { token: "t0ken" } }))
      expect(current).toMatchObject({ server: "https://here.example:6443", namespace: "team", tls: {} })
      expect(yield* current.headers).toEqual({ authorization: "Bearer t0ken" })
      expect(yield* from(kubeconfig({}), { context: "other" })).toMatchObject({ server: "https://there.example", namespace: "default" })
    }))

  it.effect("have certificates and keys as PEM, decoded once", () =>
    Effect.gen(function*() {
      const base64 = (text: string) => Buffer.from(text).toString("base64")
      const { headers, tls } = yield* from(kubeconfig({
        user: { "client-certificate-data": base64("CERTIFICATE"), "client-key-data": base64("KEY") },
        cluster: { "certificate-authority-data": base64("AUTHORITY"), "tls-server-name": "kubernetes" }
      }))
      expect({ ...tls, ca: String(tls.ca), cert: String(tls.cert), key: String(tls.key) }).toEqual({
        ca: "AUTHORITY",
        cert: "CERTIFICATE",
        key: "KEY",
        servername: "kubernetes"
      })
      expect(yield* headers).toEqual({})
    }))

  it.effect("find files beside the kubeconfig, and follow a token file", () =>
    Effect.gen(function*() {
      const directory = yield* directoryWith({
        config: kubeconfig({ user: { tokenFile: "token" }, cluster: { "certificate-authority": "ca.crt" } }),
        token: "one\n",
        "ca.crt": "AUTHORITY"
      })
      const { headers, refresh, tls } = yield* fromKubeconfig({ path: join(directory, "config") })
      expect(String(tls.ca)).toBe("AUTHORITY")
      expect(yield* headers).toEqual({ authorization: "Bearer one" })
      yield* write(directory, "token", "two")
      yield* refresh
      expect(yield* headers).toEqual({ authorization: "Bearer two" })
    }))

  it.effect("come from an exec plugin, which runs again only after a refusal", () =>
    Effect.gen(function*() {
      const plugin = `#!/bin/sh
echo run >>"$(dirname "$0")/runs"
echo "{\\"apiVersion\\":\\"client.authentication.k8s.io/v1\\",\\"kind\\":\\"ExecCredential\\",\\"status\\":{\\"token\\":\\"run-$(wc -l <"$(dirname "$0")/runs" | tr -d ' ')\\"}}"
`
      const directory = yield* directoryWith({ plugin })
      yield* Effect.promise(() => chmod(join(directory, "plugin"), 0o755))
      yield* write(
        directory,
        "config",
        kubeconfig({
          user: { exec: { apiVersion: "client.authentication.k8s.io/v1", command: join(directory, "plugin"), interactiveMode: "Never" } }
        })
      )
      const { headers, refresh } = yield* fromKubeconfig({ path: join(directory, "config") })
      const first = yield* headers
      yield* TestClock.adjust("5 minutes")
      expect(yield* headers).toEqual(first)
      yield* refresh
      expect(yield* headers).not.toEqual(first)
    }))

  it.effect("come from a login command beside the kubeconfig, which is told what to log in to", () =>
    Effect.gen(function*() {
      const plugin = `#!/bin/sh
printf %s "$KUBERNETES_EXEC_INFO" >"$(dirname "$0")/told-$ROLE"
echo '{"status":{"token":"of the plugin"}}'
`
      const directory = yield* directoryWith({ plugin, "ca.crt": "AUTHORITY" })
      yield* Effect.promise(() => chmod(join(directory, "plugin"), 0o755))
      const apiVersion = "client.authentication.k8s.io/v1"
      const told = (role: string, exec: object) =>
        Effect.gen(function*() {
          const cluster = {
            server: "https://told.example",
            "certificate-authority": "ca.crt",
            "tls-server-name": "kubernetes",
            extensions: [{ extension: 1 }, { name: "client.authentication.k8s.io/exec", extension: { audience: "us" } }]
          }
          const env = [{ name: "ROLE", value: role }, { name: "KUBERNETES_EXEC_INFO", value: "another" }]
          yield* write(directory, "config", kubeconfig({ user: { exec: { apiVersion, command: "./plugin", env, ...exec } }, cluster }))
          const { headers } = yield* fromKubeconfig({ path: join(directory, "config") })
          expect(yield* headers).toEqual({ authorization: "Bearer of the plugin" })
          return JSON.parse(yield* Effect.promise(() => readFile(join(directory, `told-${role}`), "utf8")))
        })
      expect(yield* told("a", {})).toEqual({ apiVersion, kind: "ExecCredential", spec: { interactive: false } })
      const cluster = {
        server: "https://told.example",
        "tls-server-name": "kubernetes",
        "certificate-authority-data": Buffer.from("AUTHORITY").toString("base64"),
        config: { audience: "us" }
      }
      expect(yield* told("b", { provideClusterInfo: true })).toMatchObject({ spec: { cluster, interactive: false } })
    }))

  const exec = { apiVersion: "client.authentication.k8s.io/v1", command: "/no/such/plugin" }
  const as = "joe"
  it.effect.each([
    { given: "a token beside a login command", user: { token: "t0ken", exec }, sent: { authorization: "Bearer t0ken" } },
    { given: "a token file beside a login command", user: { tokenFile: "token", exec }, sent: { authorization: "Bearer of the file" } },
    { given: "a certificate beside a login command", user: { "client-certificate": "token", "client-key": "token", exec }, sent: {} },
    { given: "a token file before a token", user: { tokenFile: "token", token: "t0ken" }, sent: { authorization: "Bearer of the file" } },
    { given: "a token and another name", user: { token: "t0ken", as }, sent: { authorization: "Bearer t0ken", "impersonate-user": as } },
    {
      given: "a token file and another name, of which no more is asked",
      user: { tokenFile: "token", as, "as-groups": [], "as-uid": "", "as-user-extra": {} },
      sent: { authorization: "Bearer of the file", "impersonate-user": as }
    },
    {
      given: "another name over plain HTTP",
      user: { tokenFile: "token", as },
      cluster: { server: "http://127.0.0.1:8001" },
      sent: { "impersonate-user": as }
    }
  ])("are, as for kubectl, $given", ({ cluster = {}, sent, user }) =>
    Effect.gen(function*() {
      const directory = yield* directoryWith({ config: kubeconfig({ user, cluster }), token: "of the file" })
      const { headers } = yield* fromKubeconfig({ path: join(directory, "config") })
      expect(yield* headers).toEqual(sent)
    }))

  it.effect.each(["", ",\"user\":\"\""])("take the authority of a cluster also where nobody logs in%s", (user) =>
    Effect.gen(function*() {
      const cluster = { "certificate-authority-data": Buffer.from(authority("ours")).toString("base64") }
      const { headers, tls } = yield* from(kubeconfig({ cluster }).replace(`,"user":"me","namespace"`, `${user},"namespace"`))
      expect([String(tls.ca), yield* headers]).toEqual([authority("ours"), {}])
    }))

  it.effect("are not sent over plain HTTP, as to kubectl proxy, where a user may also be missing", () =>
    Effect.gen(function*() {
      const text = kubeconfig({
        user: { token: "t0ken", "client-certificate": "/no/such/cert" },
        cluster: { server: "http://127.0.0.1:8001/" }
      })
      for (const given of [text, text.replace(`"user":"me"`, `"user":"nouser"`)]) {
        const { headers, server, tls } = yield* from(given)
        expect([server, tls, yield* headers]).toEqual(["http://127.0.0.1:8001", {}, {}])
      }
    }))

  it.effect("merge the files of KUBECONFIG that exist, the first one winning", () =>
    Effect.gen(function*() {
      const directory = yield* directoryWith({
        a: kubeconfig({ user: { token: "first" }, current: "" }),
        b: kubeconfig({ user: { token: "second" }, current: "other" }),
        c: kubeconfig({ user: { token: "third" }, current: "main" })
      })
      const credentials = yield* discover().pipe(
        environment({ KUBECONFIG: ["a", "missing", "b", "c"].map((file) => join(directory, file)).join(":") })
      )
      expect(credentials.server).toBe("https://there.example")
      expect(yield* credentials.headers).toEqual({ authorization: "Bearer first" })
    }))

  it.effect.each([
    { given: "has a token", user: { token: "first" }, sent: "Bearer first" },
    { given: "has a token file", user: { tokenFile: "first" }, sent: "Bearer of the first file" },
    { given: "logs in by nothing", user: {}, sent: undefined }
  ])(
    "are of the user in the first file that names it, which $given, also where a later file gives that name a token file",
    ({ sent, user }) =>
      Effect.gen(function*() {
        const directory = yield* directoryWith({
          a: kubeconfig({ user }),
          b: kubeconfig({ user: { tokenFile: "second" } }),
          first: "of the first file",
          second: "of the second file"
        })
        const credentials = yield* discover().pipe(environment({ KUBECONFIG: `${join(directory, "a")}:${join(directory, "b")}` }))
        expect(credentials.server).toBe("https://here.example:6443")
        expect(yield* credentials.headers).toEqual(sent === undefined ? {} : { authorization: sent })
      })
  )

  it.effect.each(["{ name: other }", "{ name: other, user: }", "{ name: other, user: { tokenFile: } }"])(
    "follow a token file also beside another user who logs in by nothing, as %s",
    (other) =>
      Effect.gen(function*() {
        const directory = yield* directoryWith({
          config: kubeconfig({ user: { tokenFile: "token" } }).replace(`"users":[`, `"users": [${other}, `),
          token: "one"
        })
        const { headers } = yield* fromKubeconfig({ path: join(directory, "config") })
        expect(yield* headers).toEqual({ authorization: "Bearer one" })
      })
  )

  it.effect("are the token where the name of the token file is empty", () =>
    Effect.gen(function*() {
      const { headers } = yield* from(kubeconfig({ user: { token: "t0ken", tokenFile: "" } }))
      expect(yield* headers).toEqual({ authorization: "Bearer t0ken" })
    }))

  it.effect("are preferred in a Pod only when asked for", () =>
    Effect.gen(function*() {
      const directory = yield* directoryWith({ config: kubeconfig({}), "ca.crt": authority("mounted"), token: "mounted" })
      expect((yield* discover({ directory })).server).toBe("https://10.0.0.1:443")
      expect((yield* discover({ directory, path: join(directory, "config") })).server).toBe("https://here.example:6443")
    }).pipe(inPod))

  it.effect.each([
    { home: "no kubeconfig", text: undefined, chosen: "https://10.0.0.1:443" },
    { home: "an empty kubeconfig", text: "\n", chosen: "https://10.0.0.1:443" },
    { home: "a kubeconfig of comments", text: "# of users with\n  # tokenFile\n", chosen: "https://10.0.0.1:443" },
    { home: "a kubeconfig without a current context", text: kubeconfig({ current: "" }), chosen: "https://10.0.0.1:443" },
    { home: "a kubeconfig with one", text: kubeconfig({}), chosen: "https://here.example:6443" },
    { home: "a kubeconfig that is not YAML", text: "users: [", chosen: "KubeconfigUnusable" }
  ])(
    "are for a person in a Pod, as for kubectl, but never for a program, those of a home with $home",
    ({ chosen, text }) =>
      Effect.gen(function*() {
        const directory = yield* directoryWith({ "ca.crt": authority("mounted"), token: "mounted" })
        yield* Effect.promise(() => mkdir(join(directory, ".kube")))
        if (text !== undefined) yield* write(directory, ".kube/config", text)
        yield* homeIn(directory)
        const person = discover({ directory, homeFirst: true })
        expect(yield* Effect.match(person, { onFailure: ({ _tag }) => _tag, onSuccess: ({ server }) => server })).toBe(chosen)
        expect((yield* discover({ directory })).server).toBe("https://10.0.0.1:443")
      }).pipe(inPod)
  )

  it.effect.each([
    {
      given: "no such context",
      text: kubeconfig({}),
      context: "nope",
      tag: "KubeconfigUnusable",
      says: "has no context nope (it has: main, other); name one of them."
    },
    {
      given: "no current context",
      text: kubeconfig({ current: "" }),
      tag: "KubeconfigUnusable",
      says: "The kubeconfig has no current context (it has: main, other)"
    },
    {
      given: "no context at all",
      text: kubeconfig({ current: "" }).replace("contexts", "others"),
      tag: "KubeconfigUnusable",
      says: "The kubeconfig has no contexts; name one that has with KUBECONFIG."
    },
    {
      given: "no context at all, and one that is wanted",
      text: kubeconfig({}).replace("contexts", "others"),
      context: "nope",
      tag: "KubeconfigUnusable",
      says: "The kubeconfig has no contexts; name one that has with KUBECONFIG."
    },
    { given: "an empty file", text: "", tag: "KubeconfigUnusable", says: "The kubeconfig has no contexts; name one" },
    { given: "not YAML", text: "users: [", tag: "KubeconfigUnusable", says: "Cannot understand the kubeconfig" },
    ...Object.entries({ "as-groups": ["ops"], "as-uid": "7", "as-user-extra": { scopes: ["view"] } }).map(([key, value]) => ({
      given: key,
      text: kubeconfig({ user: { token: "t0ken", as: "joe", [key]: value } }),
      tag: "KubeconfigUnusable",
      says:
        `The user of context main has ${key}, which is not supported; use a context whose user impersonates by \`as\` alone, or not at all.`
    })),
    {
      given: "as-groups from a merged map",
      text: `x: &base {token: t0ken, as: joe, as-groups: [ops]}
contexts: [{name: main, context: {cluster: c, user: u}}]
current-context: main
clusters: [{name: c, cluster: {server: "https://here.example"}}]
users: [{name: u, user: {<<: *base}}]
`,
      tag: "KubeconfigUnusable",
      says: "The user of context main has as-groups, which is not supported"
    },
    {
      given: "as-groups of another form",
      text: kubeconfig({ user: { token: "t0ken", as: "joe", "as-groups": "ops" } }),
      tag: "KubeconfigUnusable",
      says: "its clusters or users are not of the form that kubectl knows; check it with `kubectl config view`."
    },
    {
      given: "a login command of another form",
      text: kubeconfig({ user: { exec: { command: ["./plugin"] } } }),
      tag: "KubeconfigUnusable",
      says: "the exec of user me is not of the form that kubectl knows; check it with `kubectl config view`."
    },
    {
      given: "a proxy",
      text: kubeconfig({ cluster: { "proxy-url": "http://proxy" } }),
      tag: "KubeconfigUnusable",
      says: "behind proxy-url, which is not supported"
    },
    {
      given: "a cluster that is missing",
      text: kubeconfig({}).replace(`"cluster":"here"`, `"cluster":"gone"`),
      tag: "KubeconfigUnusable",
      says: "The context main names the cluster gone, which the kubeconfig does not have; correct that."
    },
    {
      given: "a user that is missing",
      text: kubeconfig({}).replace(`"user":"me"`, `"user":"nouser"`),
      tag: "KubeconfigUnusable",
      says: "The context main names the user nouser, which the kubeconfig does not have; correct that."
    },
    {
      given: "a plugin that is not installed",
      text: kubeconfig({ user: { exec: { command: "/no/such/plugin" } } }),
      tag: "NoCredentials",
      says: "Cannot log in with the context main: its login command /no/such/plugin is not there; run"
    },
    {
      given: "a plugin that fails silently",
      text: kubeconfig({ user: { exec: { command: "false" } } }),
      tag: "NoCredentials",
      says: "Cannot log in with the context main: its login command failed and did not say why; run"
    },
    {
      given: "a plugin that prints another thing",
      text: kubeconfig({ user: { exec: { command: "echo", args: ["hunter2"] } } }),
      tag: "NoCredentials",
      says: "Cannot log in with the context main: its login command printed no ExecCredential; run"
    },
    {
      given: "a plugin that prints no status",
      text: kubeconfig({ user: { exec: { command: "echo", args: ["{}"] } } }),
      tag: "NoCredentials",
      says: "Cannot log in with the context main: its login command printed no ExecCredential; run"
    },
    {
      given: "a login of a former kind",
      text: kubeconfig({ user: { "auth-provider": { name: "gcp" } } }),
      tag: "NoCredentials",
      says: "Cannot log in with the context main: its auth-provider gcp has no token, and such a login is no longer supported; run"
    },
    {
      given: "a token that nobody renews",
      text: kubeconfig({
        user: {
          "auth-provider": {
            name: "oidc",
            config: {
              "client-id": "c",
              "id-token": "e30.eyJleHAiOjF9.c2ln",
              "refresh-token": "r",
              "idp-issuer-url": "https://127.0.0.1:1/"
            }
          }
        }
      }),
      tag: "NoCredentials",
      says: "Cannot log in with the context main: the token of its auth-provider oidc has expired, and is not renewed here; run"
    },
    {
      given: "a missing certificate",
      text: kubeconfig({ user: { "client-certificate": "/no/such/cert" } }),
      tag: "NoCredentials",
      says: "Cannot log in with the context main: its file /no/such/cert cannot be read (no such file or directory); run"
    },
    {
      given: "a missing token file",
      text: kubeconfig({ user: { tokenFile: "/no/such/token" } }),
      tag: "NoCredentials",
      says:
        "Cannot read /no/such/token: no such file or directory; write a token there, or correct the tokenFile of user me in the kubeconfig."
    }
  ])("say what is wrong with $given", ({ context, says, tag, text }) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(from(text, context === undefined ? {} : { context }))
      expect(error._tag).toBe(tag)
      expect(error.message).toContain(says)
    }))

  it.effect.each([
    {
      given: "cannot be parsed",
      text: "users:\n- user: { token: hunter2 }\n other: 1\n",
      says: "bad indentation of a sequence entry (3:2)"
    },
    { given: "has a password that YAML takes for an alias", text: "password: *hunter2\n", says: "unidentified alias (1:12)" },
    { given: "has a password that YAML takes for a tag", text: "password: !hunter2\n", says: "unknown scalar tag (1:11)" },
    {
      given: "has a token that YAML takes for a tag",
      text: "token: !<hunter2\\> x\n",
      says: "tag name cannot contain such characters (1:19)"
    }
  ])("show nothing of a kubeconfig that $given", ({ says, text }) =>
    Effect.gen(function*() {
      const { message } = yield* Effect.flip(from(text))
      expect(message.replace(/kubeconfig \S+:/u, "kubeconfig:")).toBe(
        `Cannot understand the kubeconfig: ${says}; check it with \`kubectl config view\`.`
      )
    }))

  it.effect("say where they were looked for", () =>
    Effect.gen(function*() {
      const named = yield* discover().pipe(environment({ KUBECONFIG: "/no/such/file" }), Effect.flip)
      expect([named._tag, named.message]).toEqual([
        "KubeconfigUnusable",
        "No kubeconfig can be read at /no/such/file; name one that is there with KUBECONFIG."
      ])
    }))

  it.effect.skipIf(!canBeNameless)("are looked for in no home of a user who has none", () =>
    Effect.gen(function*() {
      yield* nameless
      for (const found of [discover().pipe(environment({})), discover({ context: "main" }).pipe(inPod)]) { // a context is one of a kubeconfig
        expect(yield* Effect.flip(found)).toMatchObject({
          _tag: "NoCredentials",
          message:
            "There is no Kubernetes cluster to talk to: no kubeconfig can be read at /.kube/config; set KUBECONFIG to one, or run this in a Pod."
        })
      }
    }))
})
