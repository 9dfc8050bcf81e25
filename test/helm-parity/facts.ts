// The facts that must be found in the rendered objects of one values file: the types of a case's expected.json and refused.json.
// Used by the model that derives them, the comparison that looks for them, and the generator that writes them.
import type {
  V1Affinity,
  V1Container,
  V1PodSecurityContext,
  V1ResourceRequirements,
  V1SecurityContext,
  V1Toleration,
  V1Volume,
  V1VolumeMount
} from "@kubernetes/client-node"

export type Texts = Readonly<Record<string, string>>

/** A name that the program makes up: only how it starts, and a text that it contains, are fixed. */
export interface MadeName {
  readonly generated: true
  readonly startsWith: string
  readonly contains?: string
}
export type Name = string | MadeName

export interface ContainerFacts {
  readonly image: string
  readonly pullPolicy: string
  readonly env: Texts
  /** Names of variables that were given to other containers only. */
  readonly envAbsent: ReadonlyArray<string>
  readonly resources: V1ResourceRequirements
  readonly securityContext: V1SecurityContext
}

export interface TaskContainerFacts extends ContainerFacts {
  readonly extraVolumeMounts: ReadonlyArray<V1VolumeMount>
  readonly extraVolumeMountsAbsent: ReadonlyArray<V1VolumeMount>
}

export interface PodFacts {
  readonly podAnnotations: Texts
  readonly podAnnotationsAbsent: ReadonlyArray<string>
  readonly nodeSelector: Texts
  readonly tolerations: ReadonlyArray<V1Toleration>
  readonly affinity: V1Affinity
  readonly imagePullSecrets: ReadonlyArray<string>
  readonly terminationGracePeriodSeconds: number
  readonly podSecurityContext: V1PodSecurityContext
}

export interface ControllerFacts extends ContainerFacts, PodFacts {
  readonly name: MadeName
  readonly serviceAccountName: Name
  readonly automount: boolean
  readonly dataDirMount: string
  readonly url?: string
}

/** The volume that worker and runner share; if it is a claim, with the path in it. */
export type DataFacts =
  & { readonly mountPath: string; readonly sharedWithRunner: true }
  & ({ readonly kind: "emptyDir"; readonly sizeLimit: string } | {
    readonly kind: "persistentVolumeClaim"
    readonly claimName: Name
    readonly subPath: string
    readonly runnerMountsClaim: true
  })

export interface JobFacts extends PodFacts {
  readonly backoffLimit: number
  readonly ttlSecondsAfterFinished: number
  readonly worker: TaskContainerFacts
  readonly runner: TaskContainerFacts
  readonly sidecars: ReadonlyArray<V1Container>
  readonly extraVolumes: ReadonlyArray<V1Volume>
  readonly tokenTTL: number
  readonly runnerHasApiToken: false
  readonly data: DataFacts
}

export interface Facts {
  readonly namespace: string
  readonly controller: ControllerFacts
  readonly job: JobFacts
  readonly serviceAccount: { readonly create: false } | {
    readonly create: true
    readonly name: Name
    readonly annotations: Texts
    readonly labels: Texts
  }
  readonly tokenSecret: { readonly value: string } | { readonly name: string; readonly key: string }
  readonly networkPolicy: {
    readonly present: boolean
    readonly deniedCIDRs: ReadonlyArray<string>
    readonly appliesTo: { readonly controller: boolean; readonly task: boolean }
  }
  readonly persistentVolumeClaim:
    | { readonly present: false }
    | {
      readonly present: true
      readonly name: Name
      readonly accessModes: ReadonlyArray<string>
      readonly storage: string
      readonly storageClassName: string | null
    }
}

/** The content of `expected.json`. */
export interface Accepted {
  readonly about: string
  readonly name: string
  readonly namespace: string
  readonly expected: Facts
  /** The promises behind these facts that the chart itself breaks. */
  readonly brokenByChart: ReadonlyArray<string>
}

/** The content of `refused.json`. */
export interface Refused {
  readonly keyPath: string
  readonly why: string
  readonly name: string
  readonly namespace: string
  readonly mentions?: ReadonlyArray<string>
}
