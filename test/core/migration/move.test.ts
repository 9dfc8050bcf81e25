import { describe, expect, it } from "@effect/vitest"
import type { V1PodSpec } from "@kubernetes/client-node"
import { Result } from "effect"
import { deployment } from "../../../src/core/manifest/installation/deployment.ts"
import { changes, leaving } from "../../../src/core/migration/changes.ts"
import { handOver } from "../../../src/core/migration/hand-over.ts"
import { type Move, move } from "../../../src/core/migration/move.ts"
import { report } from "../../../src/core/migration/report.ts"
import { endOfWayBack, wayBack } from "../../../src/core/migration/way-back.ts"
import { difference, merge } from "../../../src/schema/document/layers.ts"
import type { HelmRelease } from "../../../src/schema/kubernetes/helm-release.ts"
import { defaultValues, overrides } from "../../../src/schema/values/values.ts"
import { chosen, firstRelease, laterRelease, objectOf } from "./releases.ts"

const moved = (release: HelmRelease, url?: string): Move =>
  Result.getOrThrow(move(release, { ...chosen, ...(url !== undefined && { url }) }))
const images = { agent: { image: chosen.image }, task: { runner: { image: chosen.runnerImage } } }

/** Returns the values that the move results in, without the defaults and the images. */
const said = (release: HelmRelease) => difference(merge(defaultValues, images), moved(release).values)
const commands = (release: HelmRelease, title: string) => handOver(moved(release), "out").find((_) => _.title === title)?.commands ?? []
const overridesOf = (command: string) => JSON.parse(/ --overrides='(.*)'$/u.exec(command)?.[1] ?? "{}") as { readonly spec: V1PodSpec }
const titles = (release: HelmRelease) => handOver(moved(release), "out").map(({ title }) => title)
const back = (release: HelmRelease) => wayBack(moved(release)).flatMap((_) => _.commands)
const gone = (context: object) => Object.fromEntries(Object.keys(context).map((key) => [key, null]))
/** A release of 0.5.59 with the chart's defaults, which are ours. */
const whole = (config: object): HelmRelease => ({ ...firstRelease(config), defaults: defaultValues })
const withToken = (agent: object = {}) => ({ agent: { token: "hunter2", url: "https://example.com", ...agent } })

describe("the values of a release", () => {
  it("of 0.5.59 are the user's own, but for the token", () => {
    expect(said(firstRelease({ ...withToken(), task: { job: { backoffLimit: 2 } } }))).toEqual({
      agent: { tokenExistingSecret: { name: "blue-token" }, url: "https://example.com" },
      task: { job: { backoffLimit: 2 } }
    })
  })

  it("have the images that were chosen, whatever the release and its registry say", () => {
    const image = { repository: "scalr/agent", tag: 0.54 }
    const release = {
      global: { imageRegistry: "mirror.example.com" },
      agent: { image },
      controller: { image },
      task: { worker: { image: { tag: "0.54.0" } }, runner: { image } }
    }
    expect(overrides(moved(firstRelease(release)).values)).toEqual(images)
    expect(changes(moved(firstRelease(release)))).toContain(
      "Controller and worker are registry.example.com/agent-job:0.1.0, the runner is registry.example.com/agent-job-runner:0.1.0; no image of the release is used any more, since the chart's agent is another program."
    )
  })

  it.each([
    { given: { token: "hunter2" }, secret: "blue-token" },
    { given: {}, secret: "blue-token" },
    { given: { tokenExistingSecret: { name: "shared", key: "tok" } }, secret: "blue-token" },
    { given: { tokenExistingSecret: "shared", tokenExistingSecretKey: "tok" }, secret: "blue-token" },
    { given: { tokenExistingSecret: { name: "blue-token" } }, secret: "blue-pool-token" }
  ])("name the server that was chosen, and a Secret for its token that the release does not read: $given", ({ given, secret }) => {
    const release = firstRelease({ agent: { url: "https://theirs.example.com", ...given } })
    const { config, given: { secrets, unknown } } = moved(release, "https://ours.example.com")
    expect([config.pool, secrets, unknown]).toEqual([
      { url: "https://ours.example.com", tokenSecret: { name: secret, key: "token" } },
      [],
      []
    ])
    expect(moved(release, "https://theirs.example.com/").config.pool?.tokenSecret).toEqual(moved(release).config.pool?.tokenSecret)
  })

  it.each([
    { given: { tokenExistingSecret: "mine", tokenExistingSecretKey: "tok" }, secret: { name: "mine", key: "tok" } },
    { given: { tokenExistingSecret: "mine" }, secret: { name: "mine" } },
    { given: { tokenExistingSecret: "", token: "hunter2" }, secret: { name: "blue-token" } }
  ])("may name the Secret of the token as a text: $given", ({ given, secret }) => {
    const release = {
      ...firstRelease({ agent: { url: "https://example.com", ...given } }),
      defaults: { agent: { tokenExistingSecret: "", tokenExistingSecretKey: "token" } }
    }
    expect([said(release), moved(release).given.unknown]).toEqual([
      { agent: { tokenExistingSecret: secret, url: "https://example.com" } },
      []
    ])
  })

  it("of 0.6.5 say what its defaults are, where ours differ", () => {
    const user = { runAsGroup: 1000, runAsUser: 1000 }
    const none = { runAsGroup: null, runAsUser: null, seccompProfile: null }
    expect(said(laterRelease({ agent: { resources: { requests: { memory: "512Mi" } } } }))).toEqual({
      agent: { securityContext: { ...none, runAsNonRoot: null } },
      controller: { podSecurityContext: { fsGroup: 1000, ...user }, resources: { limits: null, requests: { memory: "512Mi" } } },
      persistence: { emptyDir: { sizeLimit: "4Gi" } },
      restrictMetadataService: true,
      task: { podSecurityContext: { fsGroup: 1000, ...user }, runner: { securityContext: none } }
    })
  })

  it("of 0.5.59 lack what null takes away", () => {
    const users = { runAsUser: null, runAsGroup: null, fsGroup: null }
    const release = {
      agent: { securityContext: { runAsUser: null, seccompProfile: null } },
      controller: { podSecurityContext: users, resources: null },
      task: { podSecurityContext: null, worker: { resources: { limits: { cpu: null } } } }
    }
    expect(moved(whole(release)).given.kept).toEqual([])
    expect(said(whole(release))).toEqual({
      ...release,
      controller: { podSecurityContext: users, resources: { limits: null, requests: null } },
      task: { ...release.task, podSecurityContext: gone(defaultValues.task.podSecurityContext) }
    })
  })

  it("of 0.6.5 lack what null takes away, under its name here", () => {
    const { agent, controller, task } = moved(laterRelease({
      agent: { podSecurityContext: { seccompProfile: null, fsGroup: 7 } },
      global: { podSecurityContext: { runAsUser: null } }
    })).values
    for (const context of [controller.podSecurityContext, task.podSecurityContext]) {
      expect([context.runAsUser, context.runAsGroup]).toEqual([undefined, 1000])
    }
    for (const context of [agent.securityContext, task.runner.securityContext]) {
      expect([context.runAsUser, context.runAsGroup]).toEqual([undefined, undefined])
    }
    expect([controller.podSecurityContext, task.podSecurityContext].map(({ fsGroup, seccompProfile }) => [fsGroup, seccompProfile]))
      .toEqual([[7, undefined], [1000, { type: "RuntimeDefault" }]])
  })

  it("of 0.6.5 have no user and no group where null takes away those of all Pods together", () => {
    const { agent, controller, task } = moved(laterRelease({ global: { podSecurityContext: null } })).values
    for (const context of [agent.securityContext, task.runner.securityContext, controller.podSecurityContext, task.podSecurityContext]) {
      expect(context).not.toHaveProperty("runAsUser")
      expect(context).not.toHaveProperty("runAsGroup")
      expect(context).not.toHaveProperty("fsGroup")
    }
    for (const { seccompProfile } of [controller.podSecurityContext, task.podSecurityContext]) {
      expect(seccompProfile).toEqual({ type: "RuntimeDefault" })
    }
  })

  it("of 0.6.5 have no context at all for a container where null takes it away", () => {
    const { agent, task } = moved(laterRelease({ agent: { securityContext: null }, task: { runner: { securityContext: null } } })).values
    expect([agent.securityContext, task.runner.securityContext]).toEqual([{}, {}])
  })

  it("have the default of a key that must have a value, which is named", () => {
    const release = whole({ agent: { url: null }, controller: { terminationGracePeriodSeconds: null, securityContext: null } })
    expect(said(release)).toEqual({})
    expect(changes(moved(release))).toContain(
      "`controller.terminationGracePeriodSeconds` is null in the release, and needs a value here: it is 360, the default."
    )
  })

  it("that cannot be used are all told", () => {
    expect(move(firstRelease({ agent: { image: { pullPolicy: true }, dataDir: "data" } }), chosen)).toEqual(
      Result.fail([expect.stringContaining("agent.dataDir: "), expect.stringContaining("agent.image.pullPolicy: ")])
    )
  })
})

describe("what changes", () => {
  it.each([
    {
      given: "an annotation given twice",
      config: { global: { podAnnotations: { a: "1", b: "1" } }, task: { podAnnotations: { a: "2", b: "1" } } },
      says: "Annotation `a` of Pods of tasks is that of `task.podAnnotations`; the chart took the global one."
    },
    {
      given: "an environment that the chart did not read",
      config: { global: { extraEnv: { A: "1" } } },
      says: "`global.extraEnv` is in effect in every container; the chart did not read it."
    },
    {
      given: "labels that the chart did not read",
      config: { serviceAccount: { labels: { a: "b" } } },
      says: "`serviceAccount.labels` are in effect; the chart did not read them."
    },
    {
      given: "a pull policy alone",
      config: { task: { worker: { image: { pullPolicy: "Always" } } } },
      says: "The pull policy of `task.worker.image` is in effect without a repository too; the chart left it out."
    },
    {
      given: "a cloud identity",
      config: { serviceAccount: { annotations: { role: "a" } } },
      says:
        "Both accounts have the annotations of `serviceAccount.annotations`; what they give in your cloud must be granted to `system:serviceaccount:scalr:blue-task` too."
    },
    {
      given: "an account of others",
      config: { serviceAccount: { create: false, name: "theirs" } },
      says: "Roles and bindings are made for the account `theirs`; the chart made none without `serviceAccount.create`."
    },
    {
      given: "what an account of others may have in a cloud",
      config: { serviceAccount: { create: false, name: "theirs" } },
      says:
        "What `theirs` may do in your cloud, tasks may only where it is granted to `system:serviceaccount:scalr:blue-task` too, which has `serviceAccount.annotations`."
    },
    {
      given: "the metadata service closed",
      config: { restrictMetadataService: true },
      says:
        "The NetworkPolicy keeps the Pods of tasks, too, from metadata services and link-local addresses, in IPv4 and IPv6, but for their DNS; the chart's reached the controller alone, and cut all of IPv6."
    },
    {
      given: "retries",
      config: { task: { job: { backoffLimit: 2 } } },
      says: "`task.job.backoffLimit` (2) counts starts that failed; a stage that has begun is never started again."
    },
    {
      given: "a key that is unknown",
      config: { task: { job: { backofLimit: 2 } } },
      says: "`task.job.backofLimit` is unknown here and is left out; the nearest key is `task.job.backoffLimit`."
    },
    {
      given: "a secret",
      config: withToken(),
      says: "`agent.token` stood in the values in the clear; it is key `token` of Secret `blue-token` now."
    }
  ])("tells of $given", ({ config, says }) => {
    expect(changes(moved(firstRelease(config)))).toContain(says)
    expect(changes(moved(firstRelease({})))).not.toContain(says)
  })

  it("tells that nobody is asked for work without a server", () => {
    expect(changes(moved(firstRelease({})))).toContain(
      "There is no `agent.url`, so the controller asks no server for work: it runs the AgentTasks that others make."
    )
  })

  it("tells of a claim that goes", () => {
    const claim = objectOf("PersistentVolumeClaim", "blue-agent-job")
    expect(changes(moved(firstRelease({ persistence: { enabled: true } }, [claim])))).toContain(
      "The volume claim `blue-agent-job` goes with the release, and what is in it; `blue-cache` comes instead, empty."
    )
  })

  const uncached =
    "The volume of `persistence` is mounted, and is no cache: only states that the server did not take are kept on it. Stages download their providers, but for those of a mirror (`agent.providerFilesystemMirrors`, `agent.providerNetworkMirrors`)."
  it.each([
    { given: "a claim", persistence: { enabled: true }, told: [uncached] },
    { given: "a directory of the node", persistence: { hostPath: { path: "/var/cache/tofu" } }, told: [uncached] },
    { given: "neither", persistence: {}, told: [] }
  ])("tells that nothing is cached on what tasks share, which is $given", ({ persistence, told }) => {
    expect(changes(moved(firstRelease({ persistence }))).filter((_) => _.includes("cache"))).toEqual(told)
  })
})

describe("what goes", () => {
  it("is told with its namespace, if its kind has one", () => {
    const kinds = ["ClusterRole", "Role", "PersistentVolume", "PersistentVolumeClaim"]
    expect(leaving(moved(firstRelease({}, kinds.map((kind) => ({ kind, metadata: { name: "r" } })))))).toEqual([
      "Deployment scalr/scalr-agent-controller",
      "AgentTask scalr/scalr-agent-task",
      "ClusterRole r",
      "Role scalr/r",
      "PersistentVolume r",
      "PersistentVolumeClaim scalr/r"
    ])
  })
})

describe("the hand-over", () => {
  const [secret, attempt, stop, wait, apply, remove] = [
    "Make the Secret `blue-token`",
    "Try what is new",
    "Stop the old controller",
    "Wait for the Jobs that run",
    "Apply the overlay",
    "Remove the release"
  ]

  it("tries what is new while all is as it was, stops the old controller and waits for its Jobs before anything new is applied, and removes the release last", () => {
    expect(titles(firstRelease(withToken()))).toEqual([secret, attempt, stop, wait, apply, remove])
  })

  it("removes the release first where it has objects of the same names, which it would take along", () => {
    const release = { ...firstRelease(withToken({ tokenExistingSecret: "mine" })), name: "scalr-agent" }
    expect(titles(release)).toEqual([attempt, stop, wait, remove, apply])
    expect(moved(release).clashes.map(({ kind, metadata }) => `${kind}/${metadata.name}`)).toEqual(["Deployment/scalr-agent-controller"])
  })

  it("asks the server as the controller will, from a Pod with the new image, and finds an engine in the runner's", () => {
    const [controller = "", runner = ""] = commands(firstRelease(withToken()), attempt)
    expect(controller).toMatch(
      /^kubectl -n scalr run blue-trial --image=registry\.example\.com\/agent-job:0\.1\.0 --restart=Never --attach --rm /u
    )
    expect(overridesOf(controller)).toMatchObject({
      spec: {
        automountServiceAccountToken: false,
        volumes: [{ name: "pool-token", secret: { secretName: "blue-token", items: [{ key: "token", path: "token" }] } }],
        containers: [{
          image: "registry.example.com/agent-job:0.1.0",
          args: ["probe", "--pool", "https://example.com", "--token-file", "/var/run/agent-job/pool/token"],
          volumeMounts: [{ name: "pool-token", mountPath: "/var/run/agent-job/pool" }]
        }]
      }
    })
    expect(overridesOf(runner)).toMatchObject({
      spec: {
        containers: [{
          image: "registry.example.com/agent-job-runner:0.1.0",
          command: ["/bin/sh", "-c", "command -v tofu || command -v terraform"]
        }]
      }
    })
  })

  it.each([
    { given: "no server", config: {}, volumes: [] },
    {
      given: "roots that come with the overlay",
      config: { ...withToken(), global: { tls: { caBundle: "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----" } } },
      volumes: ["pool-token"]
    }
  ])("asks no server where there is $given", ({ config, volumes }) => {
    const { spec } = overridesOf(commands(firstRelease(config), attempt)[0] ?? "")
    expect([spec.containers[0]?.args, spec.volumes?.map(({ name }) => name)]).toEqual([["version"], volumes])
  })

  it("waits as long as the old controller may take", () => {
    expect(commands(firstRelease({}), stop)).toEqual([
      "kubectl -n scalr scale deployment scalr-agent-controller --replicas=0",
      "kubectl -n scalr wait --for=delete pod -l app.kubernetes.io/instance=blue --timeout=420s"
    ])
  })

  it("never takes an answer that fails for one without Pods", () => {
    expect(commands(firstRelease({}), wait)).toEqual([[
      "until left=$(kubectl -n scalr get pods -l app.kubernetes.io/component=task,app.kubernetes.io/instance=blue \\",
      "    --field-selector=status.phase!=Succeeded,status.phase!=Failed -o name) && [ -z \"$left\" ]; do echo \"Waiting for\" $left; sleep 5; done"
    ].join("\n")])
  })

  it("keeps the history of the release, and the CRD of 0.5.59, which it takes over", () => {
    expect(commands(firstRelease({}), remove)).toEqual(["helm -n scalr uninstall blue --keep-history --wait"])
    expect(report(moved(firstRelease({})), "my out")).toContain("    kubectl apply --server-side --force-conflicts -k 'my out'\n")
  })

  it.each([
    { of: "0.5.59", release: firstRelease({}) },
    { of: "0.6.5", release: laterRelease({}) }
  ])("leaves the definition to another installation where that was chosen (from $of)", ({ release }) => {
    const steps = (withoutCrd: boolean) => handOver(Result.getOrThrow(move(release, { ...chosen, withoutCrd })), "out")
    const [ours, theirs] = [steps(false), steps(true)].map((all) => all.find(({ title }) => title === apply))
    expect(theirs?.commands[0]).toBe("kubectl apply --server-side -k out")
    expect(theirs?.why).toContain("leaves out the CustomResourceDefinition")
    expect(ours?.commands[0]).toBe("kubectl apply --server-side --force-conflicts -k out")
    expect(ours?.why).toContain("first migrate again with `--without-crd`")
  })

  it("makes each Secret in the namespaces of the Pods that read it, and the token in that of the controller alone", () => {
    const release = firstRelease({
      agent: { token: "a", controller: { extraEnv: [{ name: "API_TOKEN", value: "d" }] } },
      global: { extraEnv: { DB_PASSWORD: "b" } },
      task: { namespace: "tasks", runner: { extraEnv: { GITHUB_PAT: "c" } } }
    })
    const step = handOver(moved(release), "out")[0]
    const made = [...step?.commands[0]?.matchAll(/name: "(?<name>[^"]+)", namespace: "(?<namespace>[^"]+)"/gu) ?? []]
    expect(made.map(({ groups }) => `${groups?.["namespace"]}/${groups?.["name"]}`)).toEqual([
      "scalr/blue-token",
      "scalr/blue-env",
      "tasks/blue-env",
      "scalr/blue-agent-controller-env",
      "tasks/blue-runner-env"
    ])
    expect(step?.why).toContain("Make namespace tasks first")
  })

  it("gives a Secret the text that Kubernetes makes of the value of a variable, with one $ for two", () => {
    const release = firstRelease({ agent: { token: "a$$b" }, global: { extraEnv: { DB_PASSWORD: "b$$c", GITHUB_PAT: "c" } } })
    const command = commands(release, "Make the Secrets `blue-token`, `blue-env`")[0]
    expect([...command?.matchAll(/"\w+": \((?<content>\.config.*?)\)[,}] ?/gu) ?? []].map(({ groups }) => groups?.["content"])).toEqual([
      ".config.agent.token | tostring",
      ".config.global.extraEnv.DB_PASSWORD | tostring | split(\"$$\") | join(\"$\")",
      ".config.global.extraEnv.GITHUB_PAT | tostring"
    ])
  })

  const fluxLabels = { "helm.toolkit.fluxcd.io/name": "agents", "helm.toolkit.fluxcd.io/namespace": "flux-system" }
  const ofFlux = firstRelease({}, [{ kind: "Role", metadata: { name: "r", labels: fluxLabels } }])

  it("keeps Flux from undoing it", () => {
    expect(commands(ofFlux, stop)[0]).toBe("flux -n flux-system suspend helmrelease agents")
    expect(commands(ofFlux, remove).at(-1)).toBe(
      "kubectl -n flux-system delete helmreleases.helm.toolkit.fluxcd.io agents --ignore-not-found"
    )
    expect(back(ofFlux).at(-1)).toBe("flux -n flux-system resume helmrelease agents")
  })

  const [theirs, ours] = ["https://theirs.example.com", "https://ours.example.com"]
  const ofTheirs = laterRelease({ agent: { tokenExistingSecret: { name: "shared" }, url: theirs } })

  it("to another server makes its token's Secret first, and lets the old queue run dry before the old controller stops", () => {
    const steps = handOver(moved(ofTheirs, ours), "out")
    expect(steps.map(({ title }) => title)).toEqual([secret, attempt, "Let the old queue run dry", stop, wait, apply, remove])
    expect(steps[0]?.why).toContain(
      `go to whichever controller asks first. So if another installation that takes work from ${ours}`
    )
    expect(steps[4]?.why).toContain(`\`agent-job state push\` here, as docs/state.md tells`)
    expect(steps[0]?.commands).toEqual([
      "kubectl -n scalr create secret generic blue-token --from-file=token=pool.token --dry-run=client -o yaml | kubectl apply --server-side -f -"
    ])
    expect(titles(ofTheirs)).toEqual([attempt, stop, wait, apply, remove])
  })

  it.each([
    {
      url: undefined,
      says: [
        `Runs that are queued at ${theirs} begin as soon as`,
        "No queued run is lost",
        "they stay queued in the pool",
        "Queued runs wait in the pool"
      ]
    },
    {
      url: ours,
      says: [
        `Runs that are queued at ${ours} begin as soon as`,
        `Runs that are queued at ${theirs} stay there`,
        "bring the state of each workspace",
        `queue them again at ${theirs}`
      ]
    }
  ])("promises of queued runs what comes true: from the server of the release to $url", ({ says, url }) => {
    const page = report(moved(ofTheirs, url), "out")
    expect(says.filter((_) => !page.includes(_))).toEqual([])
    expect(page.includes("No queued run is lost")).toBe(url === undefined)
    expect(page).not.toMatch(/put .* into the Secret `shared`/u)
  })

  it("shows no secret", () => {
    expect(report(moved(firstRelease(withToken({ extraEnv: { PASSWORD: "hunter2" } }))), "out")).not.toContain("hunter2")
  })
})

describe("the way back", () => {
  const unlessOthers =
    "others=$(kubectl get deployments -A -l app.kubernetes.io/managed-by=agent-job,app.kubernetes.io/component=controller -o name) && [ -z \"$others\" ] &&"
  const allowOlder = [
    "generation=$(kubectl get crd atasks.scalr.io --ignore-not-found -o jsonpath='{.metadata.generation}') &&",
    "{ [ -z \"$generation\" ] || kubectl annotate crd atasks.scalr.io --overwrite \"scalr.io/replace-generation=$generation\"; } &&"
  ].join("\n")
  const definitions = [
    "kubectl -n scalr get secret sh.helm.release.v1.blue.v3 -o 'jsonpath={.data.release}' | base64 -d | base64 -d | gunzip |",
    "  jq -r '.chart.files[] | select(.name | startswith(\"crds/\")) | \"---\", (.data | @base64d)' |",
    "  kubectl apply --server-side --force-conflicts -f - -o name |",
    "  xargs kubectl wait --for='jsonpath={.status.conditions}' --timeout=60s -o name |",
    "  xargs kubectl wait --for=condition=Established --timeout=60s"
  ].join("\n")

  it.each([
    { chart: "0.5.59", release: firstRelease({}), deployment: "scalr-agent-controller", given: `${unlessOthers}\n${allowOlder}\n` },
    { chart: "0.6.5", release: laterRelease({}), deployment: "blue", given: "" }
  ])("of $chart brings its definition before its objects", ({ deployment, given, release }) => {
    expect(wayBack(moved(release))[1]?.commands).toEqual([
      `${given}${definitions}`,
      "helm -n scalr rollback blue 3",
      `kubectl -n scalr scale deployment ${deployment} --replicas=1`
    ])
  })

  it("brings the definition of the first charts back only where no controller of ours is left, which is how ours are labelled", () => {
    const { config, release } = moved(firstRelease({}))
    expect(deployment(config).metadata?.labels).toMatchObject({
      "app.kubernetes.io/managed-by": "agent-job",
      "app.kubernetes.io/component": "controller"
    })
    const why = (of: HelmRelease) => wayBack(moved(of))[1]?.why
    expect(why(release)).toContain("so move all of them back together")
    expect(why(laterRelease({}))).not.toContain("together")
  })

  it("cancels what has not begun while the new controller lives, and waits for what has", () => {
    expect(wayBack(moved(firstRelease({ task: { namespace: "tasks" } })))[0]?.commands).toEqual([
      "agent-job drain --name blue --controller-namespace scalr --namespace tasks",
      [
        "kubectl -n tasks get atasks.scalr.io -o json |",
        "  jq -r '.items[] | select(.spec.pool and (.status.claim | not)) | .metadata.name' |",
        "  xargs -r kubectl -n tasks delete atasks.scalr.io --timeout=2m"
      ].join("\n"),
      "until left=$(kubectl -n tasks get atasks.scalr.io -o jsonpath='{.items[?(@.status.phase==\"Running\")].metadata.name}') && [ -z \"$left\" ]; do echo \"Waiting for\" $left; sleep 5; done",
      "kubectl -n scalr delete deployment blue-controller --ignore-not-found --cascade=foreground",
      "kubectl -n scalr delete lease blue-controller --ignore-not-found"
    ])
  })

  it("makes room for what cannot be patched, and leaves what is on a volume", () => {
    const release = {
      ...firstRelease({ persistence: { enabled: true } }, [objectOf("PersistentVolumeClaim", "scalr-agent-cache")]),
      name: "scalr-agent"
    }
    expect(moved(release).clashes.map(({ kind }) => kind)).toEqual(["Deployment", "PersistentVolumeClaim"])
    expect(wayBack(moved(release))[1]?.commands.filter((command) => command.includes("delete"))).toEqual([
      "kubectl -n scalr delete --ignore-not-found deployment/scalr-agent-controller"
    ])
  })

  it("ends with the history, and with the definition of a later chart once no release needs it", () => {
    expect(endOfWayBack(moved(firstRelease({}))).commands).toEqual(["helm -n scalr uninstall blue"])
    expect(endOfWayBack(moved(laterRelease({}))).commands).toEqual([
      "helm -n scalr uninstall blue",
      "others=$(kubectl get agenttasktemplates.scalr.io -A -o name) && [ -z \"$others\" ] && kubectl delete crd agenttasktemplates.scalr.io"
    ])
  })
})
