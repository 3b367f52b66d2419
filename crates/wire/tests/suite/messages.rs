//! Every message that has golden bytes, by short package name.

use wire::api;

use crate::golden::{Check, check};

macro_rules! checks {
    ($($package:ident: $($message:ident)+;)+) => {
        pub fn all() -> Vec<(String, Check)> {
            vec![$($((<api::$package::$message as wire::Name>::full_name(), check::<api::$package::$message>)),+),+]
        }
    };
}

checks! {
    event: ContainerCreate ContainerDelete ContainerUpdate ContentCreate ContentDelete NamespaceCreate
        NamespaceDelete NamespaceUpdate SandboxCreate SandboxExit SandboxStart SnapshotCommit
        SnapshotPrepare SnapshotRemove TaskCheckpointed TaskCreate TaskDelete TaskExecAdded
        TaskExecStarted TaskExit TaskIo TaskOom TaskPaused TaskResumed TaskStart;
    runc: CheckpointOptions Options ProcessDetails;
    bootstrap: BootstrapParams BootstrapResult Extension;
    shim_sandbox: CreateSandboxRequest CreateSandboxResponse PingRequest PingResponse PlatformRequest
        PlatformResponse SandboxMetricsRequest SandboxMetricsResponse SandboxStatusRequest
        SandboxStatusResponse ShutdownSandboxRequest ShutdownSandboxResponse StartSandboxRequest
        StartSandboxResponse StopSandboxRequest StopSandboxResponse UpdateSandboxRequest
        UpdateSandboxResponse WaitSandboxRequest WaitSandboxResponse;
    containers: Container CreateContainerRequest CreateContainerResponse DeleteContainerRequest
        GetContainerRequest GetContainerResponse ListContainerMessage ListContainersRequest
        ListContainersResponse UpdateContainerRequest UpdateContainerResponse;
    content: AbortRequest DeleteContentRequest Info InfoRequest InfoResponse ListContentRequest
        ListContentResponse ListStatusesRequest ListStatusesResponse ReadContentRequest
        ReadContentResponse Status StatusRequest StatusResponse UpdateRequest UpdateResponse
        WriteContentRequest WriteContentResponse;
    diff: ApplyRequest ApplyResponse DiffRequest DiffResponse;
    shim_events: ForwardRequest;
    events: ForwardRequest PublishRequest SubscribeRequest;
    images: CreateImageRequest CreateImageResponse DeleteImageRequest GetImageRequest GetImageResponse
        Image ImageCreate ImageDelete ImageUpdate ListImagesRequest ListImagesResponse
        UpdateImageRequest UpdateImageResponse;
    introspection: DeprecationWarning Plugin PluginInfoRequest PluginInfoResponse PluginsRequest
        PluginsResponse ServerResponse;
    leases: AddResourceRequest CreateRequest CreateResponse DeleteRequest DeleteResourceRequest Lease
        ListRequest ListResourcesRequest ListResourcesResponse ListResponse Resource;
    mounts: ActivateRequest ActivateResponse DeactivateRequest InfoRequest InfoResponse ListMessage
        ListRequest UpdateRequest UpdateResponse;
    namespaces: CreateNamespaceRequest CreateNamespaceResponse DeleteNamespaceRequest
        GetNamespaceRequest GetNamespaceResponse ListNamespacesRequest ListNamespacesResponse Namespace
        UpdateNamespaceRequest UpdateNamespaceResponse;
    sandboxes: ControllerCreateRequest ControllerCreateResponse ControllerMetricsRequest
        ControllerMetricsResponse ControllerPlatformRequest ControllerPlatformResponse
        ControllerShutdownRequest ControllerShutdownResponse ControllerStartRequest
        ControllerStartResponse ControllerStatusRequest ControllerStatusResponse ControllerStopRequest
        ControllerStopResponse ControllerUpdateRequest ControllerUpdateResponse ControllerWaitRequest
        ControllerWaitResponse StoreCreateRequest StoreCreateResponse StoreDeleteRequest
        StoreDeleteResponse StoreGetRequest StoreGetResponse StoreListRequest StoreListResponse
        StoreUpdateRequest StoreUpdateResponse;
    snapshots: CleanupRequest CommitSnapshotRequest Info ListSnapshotsRequest ListSnapshotsResponse
        MountsRequest MountsResponse PrepareSnapshotRequest PrepareSnapshotResponse
        RemoveSnapshotRequest StatSnapshotRequest StatSnapshotResponse UpdateSnapshotRequest
        UpdateSnapshotResponse UsageRequest UsageResponse ViewSnapshotRequest ViewSnapshotResponse;
    streams: StreamInit;
    tasks: CheckpointTaskRequest CheckpointTaskResponse CloseIoRequest CreateTaskRequest
        CreateTaskResponse DeleteProcessRequest DeleteResponse DeleteTaskRequest ExecProcessRequest
        ExecProcessResponse GetRequest GetResponse KillRequest ListPidsRequest ListPidsResponse
        ListTasksRequest ListTasksResponse MetricsRequest MetricsResponse PauseTaskRequest
        ResizePtyRequest ResumeTaskRequest StartRequest StartResponse UpdateTaskRequest WaitRequest
        WaitResponse;
    transfer: TransferOptions TransferRequest;
    version: VersionResponse;
    task_v2: CheckpointTaskRequest CloseIoRequest ConnectRequest ConnectResponse CreateTaskRequest
        CreateTaskResponse DeleteRequest DeleteResponse ExecProcessRequest ExecProcessResponse
        KillRequest PauseRequest PidsRequest PidsResponse ResizePtyRequest ResumeRequest ShutdownRequest
        StartRequest StartResponse StateRequest StateResponse StatsRequest StatsResponse
        UpdateTaskRequest WaitRequest WaitResponse;
    task_v3: CheckpointTaskRequest CloseIoRequest ConnectRequest ConnectResponse CreateTaskRequest
        CreateTaskResponse DeleteRequest DeleteResponse ExecProcessRequest ExecProcessResponse
        KillRequest PauseRequest PidsRequest PidsResponse ResizePtyRequest ResumeRequest ShutdownRequest
        StartRequest StartResponse StateRequest StateResponse StatsRequest StatsResponse
        UpdateTaskRequest WaitRequest WaitResponse;
    types: ActivationInfo ActiveMount Descriptor Envelope Metric Mount Platform RuntimeInfo
        RuntimeRequest RuntimeVersion Sandbox;
    endpoint: AuthRequest AuthResponse ContainerPath Data ImageExportStream ImageImportStream
        ImageReference ImageStore OciRegistry Progress ReadStream RegistryResolver UnpackConfiguration
        WindowUpdate WriteStream;
    process: Process ProcessInfo;
    rpc: Status;
    health: HealthCheckRequest HealthCheckResponse HealthListRequest HealthListResponse;
    cgroups_v1: BlkIoEntry BlkIoStat CgroupStats CpuStat CpuUsage HugetlbStat MemoryEntry
        MemoryOomControl MemoryStat Metrics NetworkStat PidsStat RdmaEntry RdmaStat Throttle;
    cgroups_v2: CpuStat HugeTlbStat IoEntry IoStat MemoryEvents MemoryStat Metrics NetworkStat PidsStat
        PsiData PsiStats RdmaEntry RdmaStat;
    runtimeoptions: Options;
}
