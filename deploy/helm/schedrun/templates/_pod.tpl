{{/* The labels of a program: its name. */}}
{{- define "schedrun.labels" -}}
app.kubernetes.io/name: schedrun-{{ . }}
app.kubernetes.io/part-of: schedrun
{{- end }}

{{/* What is of one kind for all programs: (root, program, port, grace, env, volumes ...). */}}
{{- define "schedrun.pod" -}}
{{- $values := index .root.Values .program -}}
metadata:
  labels: {{- include "schedrun.labels" .program | nindent 4 }}
spec:
  terminationGracePeriodSeconds: {{ .grace }}
  automountServiceAccountToken: false
  # Else each service sets variables under its name, which are no keys.
  enableServiceLinks: false
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    seccompProfile:
      type: RuntimeDefault
  topologySpreadConstraints:
    {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          app.kubernetes.io/name: schedrun-{{ $.program }}
    {{- end }}
  containers:
    - name: {{ .program }}
      image: {{ .image | default (printf "%s:%s" .root.Values.image.repository (.root.Values.image.tag | default .root.Chart.AppVersion | toString)) }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      command: ["/usr/bin/schedrun-{{ .program }}"]
      args: ["-c", "/etc/schedrun/schedrun.conf"]
      env:
        - name: SCHEDRUN_ADMIN_LISTEN
          value: ":{{ .port }}"
        # Where schedrun.secrets is looked for.
        - name: CREDENTIALS_DIRECTORY
          value: /etc/schedrun/secrets
        {{- with .env }}{{ toYaml . | nindent 8 }}{{ end }}
      ports:
        - name: admin
          containerPort: {{ .port }}
        {{- with .ports }}{{ toYaml . | nindent 8 }}{{ end }}
      # Stuck is restarted, waiting for Kafka or Redis is not.
      livenessProbe:
        httpGet:
          path: /healthz
          port: admin
        periodSeconds: 10
        failureThreshold: 6
      readinessProbe:
        httpGet:
          path: /readyz
          port: admin
        periodSeconds: 5
      resources: {{- toYaml $values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: ["ALL"]
      volumeMounts:
        - name: settings
          mountPath: /etc/schedrun/schedrun.conf
          subPath: schedrun.conf
          readOnly: true
        - name: secrets
          mountPath: /etc/schedrun/secrets
          readOnly: true
        - name: tmp
          mountPath: /tmp
        {{- with .mounts }}{{ toYaml . | nindent 8 }}{{ end }}
  volumes:
    - name: settings
      configMap:
        name: schedrun
    - name: secrets
      secret:
        secretName: {{ .root.Values.secretName }}
        optional: true
        defaultMode: 0440
    - name: tmp
      emptyDir:
        sizeLimit: 16Mi
    {{- with .volumes }}{{ toYaml . | nindent 4 }}{{ end }}
{{- end }}

{{/* What has a name and labels: (root, program). */}}
{{- define "schedrun.metadata" -}}
metadata:
  name: schedrun-{{ .program }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "schedrun.labels" .program | nindent 4 }}
{{- end }}

{{- define "schedrun.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
{{ include "schedrun.metadata" . }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      app.kubernetes.io/name: schedrun-{{ .program }}
{{- end }}
