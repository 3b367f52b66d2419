package main

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"

	containers "github.com/containerd/containerd/api/services/containers/v1"
	snapshots "github.com/containerd/containerd/api/services/snapshots/v1"
	api "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types"
	runc "github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/api/types/task"
	client "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/transfer/image"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/platforms"
	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/anypb"
)

// busybox is the image, imported and unpacked when it is not there yet.
func (s *suite) busybox() client.Image {
	if _, err := s.client.GetImage(s.ctx, s.image); err != nil {
		_, err = s.imports(s.image, image.WithUnpack(platforms.DefaultSpec(), "overlayfs"))
		s.must("import", err)
	}
	picture, err := s.client.GetImage(s.ctx, s.image)
	s.must("image", err)
	return picture
}

// box makes a container record with a snapshot.
func (s *suite) box(id string, args ...string) client.Container {
	picture := s.busybox()
	box, err := s.client.NewContainer(s.ctx, id, client.WithSnapshotter("overlayfs"), client.WithNewSnapshot(id, picture),
		client.WithRuntime("io.containerd.runc.v2", nil),
		client.WithNewSpec(oci.WithImageConfig(picture), oci.WithProcessArgs(args...)))
	s.must("container "+id, err)
	return box
}

func processOf(args ...string) *anypb.Any {
	value, _ := json.Marshal(specs.Process{Args: args, Env: []string{"PATH=/bin"}, Cwd: "/"})
	return &anypb.Any{TypeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Process", Value: value}
}

func (s *suite) tasks() {
	tasks := api.NewTasksClient(s.conn)
	s.box("one", "sleep", "1000")
	mounts, err := snapshots.NewSnapshotsClient(s.conn).Mounts(s.ctx, &snapshots.MountsRequest{Snapshotter: "overlayfs", Key: "one"})
	s.must("mounts", err)
	s.taskRefusals(tasks, mounts.Mounts)
	heard := s.listen("topic~=/tasks/,namespace==" + s.ns)
	defer heard.cancel()
	create := &api.CreateTaskRequest{ContainerID: "one", Rootfs: mounts.Mounts}
	made, err := tasks.Create(s.ctx, create)
	s.must("create", err)
	pid := made.Pid
	s.is("create's answer", made.ContainerID == "one" && pid > 0, true)
	_, err = tasks.Create(s.ctx, create)
	s.refused("create twice", err, codes.AlreadyExists, "task one: already exists")
	get := func(exec string) *task.Process {
		answer, err := tasks.Get(s.ctx, &api.GetRequest{ContainerID: "one", ExecID: exec})
		if err != nil {
			s.fail("get "+exec, "%v", err)
		}
		return answer.GetProcess()
	}
	s.is("created", []any{get("").GetID(), get("").GetPid() == pid, get("").GetStatus(), get("").GetExitedAt().GetSeconds()}, "[one true CREATED -62135596800]")
	started, err := tasks.Start(s.ctx, &api.StartRequest{ContainerID: "one"})
	s.must("start", err)
	s.is("start's pid", started.Pid, pid)
	s.is("running", get("").GetStatus(), task.Status_RUNNING)
	_, err = tasks.Delete(s.ctx, &api.DeleteTaskRequest{ContainerID: "one"})
	s.refused("delete a running one", err, codes.Unknown, "failed to delete task: cannot delete a running process")
	s.taskQueries(tasks, pid)
	s.taskExecs(tasks, get)
	_, err = tasks.Pause(s.ctx, &api.PauseTaskRequest{ContainerID: "one"})
	s.ok("pause", err)
	s.is("paused", get("").GetStatus(), task.Status_PAUSED)
	_, err = tasks.Delete(s.ctx, &api.DeleteTaskRequest{ContainerID: "one"})
	s.refused("delete a paused one", err, codes.Unknown, "failed to delete task: cannot delete a paused process")
	_, err = tasks.Update(s.ctx, &api.UpdateTaskRequest{ContainerID: "one", Resources: &anypb.Any{Value: []byte("{}")}})
	s.ok("update a paused one", err)
	_, err = tasks.Resume(s.ctx, &api.ResumeTaskRequest{ContainerID: "one"})
	s.ok("resume", err)
	_, err = tasks.Kill(s.ctx, &api.KillRequest{ContainerID: "one", Signal: 0})
	s.ok("kill with 0", err)
	_, err = tasks.Kill(s.ctx, &api.KillRequest{ContainerID: "one", Signal: 9})
	s.ok("kill", err)
	for range 2 {
		waited, err := tasks.Wait(s.ctx, &api.WaitRequest{ContainerID: "one"})
		s.ok("wait", err)
		s.is("waited", waited.GetExitStatus() == 137 && waited.GetExitedAt().GetSeconds() > 0, true)
	}
	s.is("stopped", []any{get("").GetStatus(), get("").GetExitStatus()}, "[STOPPED 137]")
	_, err = tasks.Kill(s.ctx, &api.KillRequest{ContainerID: "one", Signal: 9})
	s.refused("kill a stopped one", err, codes.NotFound, "process already finished: not found")
	_, err = tasks.Kill(s.ctx, &api.KillRequest{ContainerID: "one", Signal: 9, All: true})
	s.ok("kill all of a stopped one", err)
	none, err := tasks.ListPids(s.ctx, &api.ListPidsRequest{ContainerID: "one"})
	s.ok("pids of a stopped one", err)
	s.is("none", len(none.GetProcesses()), 0)
	deleted, err := tasks.Delete(s.ctx, &api.DeleteTaskRequest{ContainerID: "one"})
	s.ok("delete", err)
	s.is("deleted", []any{deleted.GetID(), deleted.GetExitStatus(), deleted.GetPid() == pid}, "[ 137 true]")
	s.taskEvents(heard)
	s.killedBeforeStart(tasks, create)
	made, err = tasks.Create(s.ctx, create)
	s.ok("create again", err)
	deleted, err = tasks.Delete(s.ctx, &api.DeleteTaskRequest{ContainerID: "one"})
	s.ok("delete a created one", err)
	s.is("its answer", []any{deleted.GetExitStatus(), deleted.GetPid() == made.GetPid(), deleted.GetExitedAt().GetSeconds()}, "[0 true -62135596800]")
	s.removeBox("one")
}

// removeBox takes a container's record and snapshot away.
func (s *suite) removeBox(id string) {
	box, err := s.client.LoadContainer(s.ctx, id)
	s.ok("load "+id, err)
	if err == nil {
		s.ok("remove "+id, box.Delete(s.ctx, client.WithSnapshotCleanup))
	}
}

func (s *suite) taskRefusals(tasks api.TasksClient, rootfs []*types.Mount) {
	const missing = "container \"none\" in namespace \""
	each := map[string]func(id string) error{
		"start": func(id string) error { _, err := tasks.Start(s.ctx, &api.StartRequest{ContainerID: id}); return err },
		"delete": func(id string) error {
			_, err := tasks.Delete(s.ctx, &api.DeleteTaskRequest{ContainerID: id})
			return err
		},
		"get": func(id string) error { _, err := tasks.Get(s.ctx, &api.GetRequest{ContainerID: id}); return err },
		"kill": func(id string) error {
			_, err := tasks.Kill(s.ctx, &api.KillRequest{ContainerID: id, Signal: 9})
			return err
		},
		"pause": func(id string) error {
			_, err := tasks.Pause(s.ctx, &api.PauseTaskRequest{ContainerID: id})
			return err
		},
		"resume": func(id string) error {
			_, err := tasks.Resume(s.ctx, &api.ResumeTaskRequest{ContainerID: id})
			return err
		},
		"pids": func(id string) error {
			_, err := tasks.ListPids(s.ctx, &api.ListPidsRequest{ContainerID: id})
			return err
		},
		"wait": func(id string) error { _, err := tasks.Wait(s.ctx, &api.WaitRequest{ContainerID: id}); return err },
		"resize": func(id string) error {
			_, err := tasks.ResizePty(s.ctx, &api.ResizePtyRequest{ContainerID: id})
			return err
		},
		"closeio": func(id string) error {
			_, err := tasks.CloseIO(s.ctx, &api.CloseIORequest{ContainerID: id, Stdin: true})
			return err
		},
		"update": func(id string) error {
			_, err := tasks.Update(s.ctx, &api.UpdateTaskRequest{ContainerID: id, Resources: &anypb.Any{Value: []byte("{}")}})
			return err
		},
		"exec": func(id string) error {
			_, err := tasks.Exec(s.ctx, &api.ExecProcessRequest{ContainerID: id, ExecID: "e", Spec: processOf("true")})
			return err
		},
		"delete process": func(id string) error {
			_, err := tasks.DeleteProcess(s.ctx, &api.DeleteProcessRequest{ContainerID: id, ExecID: "e"})
			return err
		},
	}
	for name, call := range each {
		s.refused(name+" of no container", call("none"), codes.NotFound, missing+s.ns+"\": not found")
		s.refusedWith(name+" of no task", call("one"), codes.NotFound, "task one not found")
	}
	_, err := tasks.Exec(s.ctx, &api.ExecProcessRequest{ContainerID: "none"})
	s.refused("exec without an id", err, codes.InvalidArgument, "exec id cannot be empty")
	_, err = tasks.Create(s.ctx, &api.CreateTaskRequest{ContainerID: "none"})
	s.refused("create of no container", err, codes.NotFound, missing+s.ns+"\": not found")
	create := func(options *anypb.Any) error {
		_, err := tasks.Create(s.ctx, &api.CreateTaskRequest{ContainerID: "one", Rootfs: rootfs, Options: options})
		return err
	}
	s.refusedWith("create with other options", create(pack(&runc.CheckpointOptions{})), codes.Unknown, "invalid task create option for io.containerd.runc.v2")
	s.refusedWith("create with unknown options", create(&anypb.Any{TypeUrl: "no.such"}), codes.Unknown, "type with url no.such: not found")
	_, err = tasks.Metrics(s.in(""), &api.MetricsRequest{})
	s.refused("metrics without namespace", err, codes.Unknown, "namespace is required: failed precondition")
	_, err = tasks.Metrics(s.ctx, &api.MetricsRequest{Filters: []string{"id=x"}})
	s.refused("metrics, bad filter", err, codes.Unknown, "filters: parse error: [id >|=|< x]: unsupported operator \"=\": invalid argument")
	list, err := tasks.List(s.ctx, &api.ListTasksRequest{})
	s.ok("list", err)
	s.is("no tasks", len(list.GetTasks()), 0)
}

func (s *suite) taskQueries(tasks api.TasksClient, pid uint32) {
	list, err := tasks.List(s.ctx, &api.ListTasksRequest{Filter: "ignored"})
	s.ok("list", err)
	if s.is("listed", len(list.GetTasks()), 1) {
		s.is("the task", []any{list.Tasks[0].ID, list.Tasks[0].Pid == pid, list.Tasks[0].Status}, "[one true RUNNING]")
	}
	pids, err := tasks.ListPids(s.ctx, &api.ListPidsRequest{ContainerID: "one"})
	s.ok("pids", err)
	s.is("the pid", len(pids.GetProcesses()) == 1 && pids.Processes[0].Pid == pid, true)
	for filter, want := range map[string]int{"": 1, "id==one": 1, "id==two": 0, "namespace==" + s.ns: 1} {
		metrics, err := tasks.Metrics(s.ctx, &api.MetricsRequest{Filters: []string{filter}})
		s.ok("metrics "+filter, err)
		s.is("measured "+filter, len(metrics.GetMetrics()), want)
		if want == 1 && len(metrics.GetMetrics()) == 1 {
			s.is("metrics' type", strings.HasSuffix(metrics.Metrics[0].Data.GetTypeUrl(), ".Metrics"), true)
		}
	}
	update := func(json string) error {
		_, err := tasks.Update(s.ctx, &api.UpdateTaskRequest{ContainerID: "one", Resources: &anypb.Any{TypeUrl: "any", Value: []byte(json)}})
		return err
	}
	s.ok("update nothing", update("{}"))
	s.ok("update", update(`{"pids":{"limit":50}}`))
	_, err = tasks.ResizePty(s.ctx, &api.ResizePtyRequest{ContainerID: "one", Width: 10, Height: 10})
	s.ok("resize without a terminal", err)
	_, err = tasks.CloseIO(s.ctx, &api.CloseIORequest{ContainerID: "one", Stdin: true})
	s.ok("closeio", err)
	_, err = tasks.Kill(s.ctx, &api.KillRequest{ContainerID: "one", Signal: 99})
	s.refusedWith("bad signal", err, codes.Unknown, "invalid argument")
}

func (s *suite) taskExecs(tasks api.TasksClient, get func(string) *task.Process) {
	exec := func(id string, args ...string) error {
		_, err := tasks.Exec(s.ctx, &api.ExecProcessRequest{ContainerID: "one", ExecID: id, Spec: processOf(args...)})
		return err
	}
	s.refusedWith("exec with a bad id", exec("a b", "true"), codes.InvalidArgument, "identifier \"a b\" must match")
	s.ok("exec", exec("e", "sh", "-c", "exit 3"))
	s.refusedWith("exec twice", exec("e", "true"), codes.AlreadyExists, "already exists")
	s.is("exec created", get("e").GetStatus(), task.Status_CREATED)
	started, err := tasks.Start(s.ctx, &api.StartRequest{ContainerID: "one", ExecID: "e"})
	s.ok("exec's start", err)
	waited, err := tasks.Wait(s.ctx, &api.WaitRequest{ContainerID: "one", ExecID: "e"})
	s.ok("exec's wait", err)
	s.is("exec's code", waited.GetExitStatus(), 3)
	s.is("exec stopped", []any{get("e").GetID(), get("e").GetStatus(), get("e").GetExitStatus()}, "[e STOPPED 3]")
	_, err = tasks.ResizePty(s.ctx, &api.ResizePtyRequest{ContainerID: "one", ExecID: "e"})
	s.refusedWith("resize a stopped exec", err, codes.Unknown, "cannot resize a stopped container")
	gone, err := tasks.DeleteProcess(s.ctx, &api.DeleteProcessRequest{ContainerID: "one", ExecID: "e"})
	s.ok("exec's delete", err)
	s.is("exec deleted", []any{gone.GetID(), gone.GetExitStatus(), gone.GetPid() == started.GetPid()}, "[e 3 true]")
	_, err = tasks.DeleteProcess(s.ctx, &api.DeleteProcessRequest{ContainerID: "one", ExecID: "e"})
	s.refusedWith("delete no exec", err, codes.NotFound, "not found")
	_, err = tasks.Get(s.ctx, &api.GetRequest{ContainerID: "one", ExecID: "e"})
	s.refusedWith("get no exec", err, codes.NotFound, "not found")
	s.ok("exec of no program", exec("bad", "/no/such"))
	_, err = tasks.Start(s.ctx, &api.StartRequest{ContainerID: "one", ExecID: "bad"})
	s.refusedWith("start no program", err, codes.Unknown, "/no/such")
	_, err = tasks.DeleteProcess(s.ctx, &api.DeleteProcessRequest{ContainerID: "one", ExecID: "bad"})
	s.ok("delete it", err)
}

// taskEvents looks at the events of the whole life of the task.
func (s *suite) taskEvents(heard *listener) {
	want := []string{"create", "start", "exec-added", "exec-started", "exit", "exec-added", "paused", "resumed", "exit", "delete"}
	heard.until(5e9, func(all []*types.Envelope) bool {
		// A containerd may lose the last one.
		return len(all) > 0 && all[len(all)-1].Topic == "/tasks/delete"
	})
	var got []string
	for _, line := range heard.lines() {
		topic, payload, _ := strings.Cut(line, " ")
		got = append(got, strings.TrimPrefix(topic, "/tasks/"))
		switch topic {
		case "/tasks/create":
			s.is("event create", strings.Contains(payload, `"container_id":"one"`) && strings.Contains(payload, `"bundle":`) &&
				strings.Contains(payload, `"rootfs":`) && strings.Contains(payload, `"io":{`), true)
		case "/tasks/exec-added":
			s.is("event exec-added", strings.HasPrefix(payload, `{"container_id":"one","exec_id":"`), true)
		case "/tasks/paused", "/tasks/resumed":
			s.is("event "+topic, payload, `{"container_id":"one"}`)
		}
	}
	if !s.ours && len(got) == len(want)-1 {
		got = append(got, "delete")
	}
	s.is("events", strings.Join(got, " "), strings.Join(want, " "))
}

// wholeClient: what a program does with the client's own types: run, output, exec, exit code, removal.
func (s *suite) wholeClient() {
	box := s.box("two", "sh", "-c", "cat; echo err >&2; exit 7")
	var out, errs bytes.Buffer
	run, err := box.NewTask(s.ctx, cio.NewCreator(cio.WithStreams(strings.NewReader("input\n"), &out, &errs)))
	s.must("task", err)
	exits, err := run.Wait(s.ctx)
	s.must("wait", err)
	s.must("start", run.Start(s.ctx))
	s.ok("close stdin", run.CloseIO(s.ctx, client.WithStdinCloser))
	exit := <-exits
	s.is("exit code", exit.ExitCode(), 7)
	_, err = run.Delete(s.ctx)
	s.ok("delete", err)
	s.is("output", out.String()+errs.String(), "input\nerr\n")
	s.removeBox("two")
	box = s.box("three", "sleep", "1000")
	run, err = box.NewTask(s.ctx, cio.NullIO)
	s.must("task", err)
	s.must("start", run.Start(s.ctx))
	out.Reset()
	process, err := run.Exec(s.ctx, "e", &specs.Process{Args: []string{"sh", "-c", "echo $A; exit 5"}, Env: []string{"PATH=/bin", "A=b"}, Cwd: "/"},
		cio.NewCreator(cio.WithStreams(nil, &out, &errs)))
	s.must("exec", err)
	ended, err := process.Wait(s.ctx)
	s.must("exec wait", err)
	s.must("exec start", process.Start(s.ctx))
	s.is("exec code", (<-ended).ExitCode(), 5)
	_, err = process.Delete(s.ctx)
	s.ok("exec delete", err)
	s.is("exec output", out.String(), "b\n")
	out.Reset()
	keyboard, typed := io.Pipe()
	process, err = run.Exec(s.ctx, "t", &specs.Process{Args: []string{"sh", "-c", "read x; stty size"}, Env: []string{"PATH=/bin"}, Cwd: "/", Terminal: true},
		cio.NewCreator(cio.WithStreams(keyboard, &out, nil), cio.WithTerminal))
	s.must("exec on a terminal", err)
	ended, err = process.Wait(s.ctx)
	s.must("terminal wait", err)
	s.must("terminal start", process.Start(s.ctx))
	s.ok("resize", process.Resize(s.ctx, 91, 33))
	_, err = typed.Write([]byte("\n"))
	s.ok("type", err)
	s.is("terminal's code", (<-ended).ExitCode(), 0)
	s.ok("close the keyboard", typed.Close())
	_, err = process.Delete(s.ctx)
	s.ok("terminal delete", err)
	s.is("terminal's size", strings.Contains(out.String(), "33 91"), true)
	spec, err := box.Spec(s.ctx)
	s.ok("spec", err)
	s.is("spec's words", strings.Join(spec.Process.Args, " "), "sleep 1000")
	_, err = run.Delete(s.ctx, client.WithProcessKill)
	s.ok("kill and delete", err)
	s.removeBox("three")
	boxes, err := containers.NewContainersClient(s.conn).List(s.ctx, &containers.ListContainersRequest{})
	s.ok("list", err)
	s.is("nothing left", len(boxes.GetContainers()), 0)
}

// killedBeforeStart: what a created task that was killed still does.
func (s *suite) killedBeforeStart(tasks api.TasksClient, create *api.CreateTaskRequest) {
	_, err := tasks.Create(s.ctx, create)
	s.must("create to kill", err)
	_, err = tasks.Update(s.ctx, &api.UpdateTaskRequest{ContainerID: "one", Resources: &anypb.Any{Value: []byte("{}")}})
	s.ok("update a created one", err)
	_, err = tasks.Exec(s.ctx, &api.ExecProcessRequest{ContainerID: "one", ExecID: "one", Spec: processOf("true")})
	s.ok("exec of a created one, its id the container's", err)
	_, err = tasks.DeleteProcess(s.ctx, &api.DeleteProcessRequest{ContainerID: "one", ExecID: "one"})
	s.ok("delete that", err)
	_, err = tasks.Kill(s.ctx, &api.KillRequest{ContainerID: "one", Signal: 9})
	s.ok("kill a created one", err)
	waited, err := tasks.Wait(s.ctx, &api.WaitRequest{ContainerID: "one"})
	s.ok("wait for it", err)
	s.is("its code", waited.GetExitStatus(), 137)
	_, err = tasks.Start(s.ctx, &api.StartRequest{ContainerID: "one"})
	s.refusedWith("start it", err, codes.Unknown, "cannot start a stopped process")
	_, err = tasks.Delete(s.ctx, &api.DeleteTaskRequest{ContainerID: "one"})
	s.ok("delete the killed one", err)
	one, err := containers.NewContainersClient(s.conn).Get(s.ctx, &containers.GetContainerRequest{ID: "one"})
	s.must("its record", err)
	for _, c := range []struct {
		name, url, value, text string
	}{
		{"another spec", "no.such", "{}", "failed to validate OCI runtime features: unmarshal spec: type with url no.such: not found"},
		{"no JSON", one.Container.Spec.GetTypeUrl(), "", "unexpected end of JSON input"},
	} {
		if c.value == "" && !s.ours {
			continue // containerd says the same, and leaves the bundle behind
		}
		id := "bad-" + itoa(len(c.value))
		bad := plainContainer(id)
		bad.Spec = &anypb.Any{TypeUrl: c.url, Value: []byte(c.value)}
		_, err = containers.NewContainersClient(s.conn).Create(s.ctx, &containers.CreateContainerRequest{Container: bad})
		s.ok("record of "+c.name, err)
		_, err = tasks.Create(s.ctx, &api.CreateTaskRequest{ContainerID: id})
		s.refusedWith("create of "+c.name, err, codes.Unknown, c.text)
		_, err = containers.NewContainersClient(s.conn).Delete(s.ctx, &containers.DeleteContainerRequest{ID: id})
		s.ok("delete the record of "+c.name, err)
	}
}
