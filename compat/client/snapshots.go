package main

import (
	"os"
	"path/filepath"
	"strings"

	leases "github.com/containerd/containerd/api/services/leases/v1"
	api "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/v2/core/mount"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// snapshots: one snapshotter from Prepare to Remove, under a lease.
func (s *suite) snapshots(kind string) {
	snaps := api.NewSnapshotsClient(s.conn)
	lease := "snapshots-" + kind
	_, err := leases.NewLeasesClient(s.conn).Create(s.ctx, &leases.CreateRequest{ID: lease})
	s.must("lease", err)
	ctx := leased(s.ctx, lease)
	prepare := func(key, parent string, l labels) ([]*types.Mount, error) {
		answer, err := snaps.Prepare(ctx, &api.PrepareSnapshotRequest{Snapshotter: kind, Key: key, Parent: parent, Labels: l})
		return answer.GetMounts(), err
	}
	view := func(key, parent string) ([]*types.Mount, error) {
		answer, err := snaps.View(ctx, &api.ViewSnapshotRequest{Snapshotter: kind, Key: key, Parent: parent})
		return answer.GetMounts(), err
	}
	commit := func(name, key, parent string, l labels) error {
		_, err := snaps.Commit(ctx, &api.CommitSnapshotRequest{Snapshotter: kind, Name: name, Key: key, Parent: parent, Labels: l})
		return err
	}
	remove := func(key string) error {
		_, err := snaps.Remove(ctx, &api.RemoveSnapshotRequest{Snapshotter: kind, Key: key})
		return err
	}
	stat := func(key string) (*api.Info, error) {
		answer, err := snaps.Stat(ctx, &api.StatSnapshotRequest{Snapshotter: kind, Key: key})
		return answer.GetInfo(), err
	}
	_, err = snaps.Prepare(ctx, &api.PrepareSnapshotRequest{Key: "k"})
	s.refused("no snapshotter", err, codes.InvalidArgument, "snapshotter argument missing: invalid argument")
	_, err = snaps.Prepare(ctx, &api.PrepareSnapshotRequest{Snapshotter: "no", Key: "k"})
	s.refused("no such snapshotter", err, codes.InvalidArgument, "snapshotter not loaded: no: invalid argument")
	mounts, err := prepare("a", "", labels{"l": "1", "none": ""})
	s.must("prepare", err)
	s.ok("write into it", inMount(mounts, func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "file"), make([]byte, 100_000), 0o644)
	}))
	_, err = prepare("a", "", nil)
	s.refused("prepare twice", err, codes.AlreadyExists, "snapshot \"a\": already exists")
	_, err = prepare("b", "none", nil)
	s.refusedWith("no parent", err, codes.NotFound, "parent snapshot none does not exist: not found")
	_, err = prepare("b", "a", nil)
	s.refusedWith("active parent", err, codes.InvalidArgument, "failed to create snapshot: parent \"", "/a\" is not committed snapshot")
	_, err = snaps.Prepare(s.ctx, &api.PrepareSnapshotRequest{Snapshotter: kind})
	s.refusedWith("empty key", err, codes.Unknown, "bucket name required")
	info, err := stat("a")
	s.ok("stat", err)
	s.is("active", []any{info.GetName(), info.GetParent(), info.GetKind(), printed(info.GetLabels())}, "[a  ACTIVE map[l:1]]")
	_, err = stat("none")
	s.refusedWith("stat none", err, codes.NotFound, "snapshot none does not exist: not found")
	again, err := snaps.Mounts(ctx, &api.MountsRequest{Snapshotter: kind, Key: "a"})
	s.ok("mounts", err)
	s.is("mounts are prepare's", again.GetMounts(), mounts)
	usage, err := snaps.Usage(ctx, &api.UsageRequest{Snapshotter: kind, Key: "a"})
	s.ok("usage", err)
	s.is("used", usage.GetSize() >= 100_000 && usage.GetInodes() >= 2, true)
	_, err = snaps.Commit(s.ctx, &api.CommitSnapshotRequest{Snapshotter: kind, Key: "a"})
	s.refusedWith("commit without a name", err, codes.Unknown, "bucket name required")
	s.refusedWith("commit none", commit("c", "none", "", nil), codes.NotFound, "not found")
	s.ok("commit", commit("c", "a", "", labels{"m": "2"}))
	info, err = stat("c")
	s.ok("stat the committed", err)
	s.is("committed, its labels replaced", []any{info.GetKind(), printed(info.GetLabels())}, "[COMMITTED map[m:2]]")
	_, err = stat("a")
	s.refusedWith("the key is gone", err, codes.NotFound, "snapshot a does not exist: not found")
	_, err = snaps.Mounts(ctx, &api.MountsRequest{Snapshotter: kind, Key: "c"})
	s.refusedWith("mounts of a committed one", err, codes.FailedPrecondition, "")
	s.refusedWith("commit a committed one", commit("d", "c", "", nil), codes.FailedPrecondition, "")
	_, err = prepare("b", "c", nil)
	s.ok("prepare on it", err)
	s.refusedWith("commit to a taken name", commit("c", "b", "", nil), codes.AlreadyExists, "snapshot \"c\": already exists")
	viewed, err := view("v", "c")
	s.ok("view", err)
	s.is("view is read-only", strings.Contains(strings.Join(append(viewed[0].Options, ""), ","), "ro") ||
		!strings.Contains(strings.Join(viewed[0].Options, ","), "upperdir"), true)
	s.ok("read the view", inMount(viewed, func(dir string) error { _, err := os.Stat(filepath.Join(dir, "file")); return err }))
	used, err := snaps.Usage(ctx, &api.UsageRequest{Snapshotter: kind, Key: "v"})
	s.ok("usage of a view", err)
	if kind == "overlayfs" {
		s.is("used by a view", []int64{used.GetSize(), used.GetInodes()}, "[0 0]")
	}
	if kind == "overlayfs" {
		s.refusedWith("commit a view", commit("w", "v", "", nil), codes.FailedPrecondition, "is not active")
	}
	_, err = prepare("x", "c", labels{"containerd.io/snapshot.ref": "c"})
	s.refused("target is there", err, codes.AlreadyExists, "target snapshot \"c\": already exists")
	s.refusedWith("remove with children", remove("c"), codes.FailedPrecondition, "cannot remove snapshot with child")
	s.refusedWith("remove none", remove("none"), codes.NotFound, "snapshot none does not exist: not found")
	s.rebased(kind, prepare, commit, stat)
	s.snapshotUpdates(kind, lease)
	s.snapshotLists(kind, lease)
	_, err = snaps.Cleanup(ctx, &api.CleanupRequest{Snapshotter: kind})
	s.refusedWith("cleanup", err, codes.Unimplemented, "snapshotter does not implement Cleanup method")
	_, err = snaps.Cleanup(s.in(""), &api.CleanupRequest{Snapshotter: kind})
	s.refusedWith("cleanup without namespace", err, codes.Unimplemented, "snapshotter does not implement Cleanup method")
	for _, key := range []string{"v", "b", "rebased", "c"} {
		s.ok("remove "+key, remove(key))
	}
	left, err := leases.NewLeasesClient(s.conn).ListResources(s.ctx, &leases.ListResourcesRequest{ID: lease})
	s.ok("lease's resources", err)
	s.is("the lease is empty", len(left.GetResources()), 0)
	_, err = leases.NewLeasesClient(s.conn).Delete(s.ctx, &leases.DeleteRequest{ID: lease, Sync: true})
	s.ok("delete lease", err)
}

// rebased commits a snapshot made without parent onto one.
func (s *suite) rebased(kind string, prepare func(string, string, labels) ([]*types.Mount, error),
	commit func(string, string, string, labels) error, stat func(string) (*api.Info, error)) {
	_, err := prepare("loose", "", nil)
	s.ok("prepare loose", err)
	s.refusedWith("rebase on none", commit("rebased", "loose", "none", nil), codes.NotFound, "parent snapshot none does not exist")
	s.refusedWith("rebase on an active one", commit("rebased", "loose", "b", nil), codes.FailedPrecondition, "")
	s.ok("rebase", commit("rebased", "loose", "c", nil))
	info, err := stat("rebased")
	s.ok("stat it", err)
	s.is("rebased", info.GetParent(), "c")
}

func (s *suite) snapshotUpdates(kind, lease string) {
	snaps := api.NewSnapshotsClient(s.conn)
	update := func(name string, l labels, paths ...string) (string, error) {
		request := &api.UpdateSnapshotRequest{Snapshotter: kind, Info: &api.Info{Name: name, Labels: l, Parent: "ignored"}}
		if len(paths) > 0 {
			request.UpdateMask = &fieldmaskpb.FieldMask{Paths: paths}
		}
		answer, err := snaps.Update(leased(s.ctx, lease), request)
		return printed(answer.GetInfo().GetLabels()), err
	}
	got, err := update("c", labels{"n": "3", "o": "4"}, "labels.n")
	s.ok("update a label", err)
	s.is("updated a label", got, "map[m:2 n:3]")
	_, err = update("c", nil, "labels.n", "parent")
	s.refusedWith("update parent", err, codes.InvalidArgument, "cannot update \"parent\" field on snapshot \"c\"")
	got, err = update("c", labels{"p": "5", "q": ""}, "labels")
	s.ok("update labels", err)
	s.is("updated labels", got, "map[p:5]")
	_, err = update("none", nil)
	s.refusedWith("update none", err, codes.NotFound, "snapshot none does not exist: not found")
	_, err = update("", nil)
	s.refused("update without a name", err, codes.InvalidArgument, "invalid argument")
}

func (s *suite) snapshotLists(kind, lease string) {
	list := func(filters ...string) (string, error) {
		stream, err := api.NewSnapshotsClient(s.conn).List(s.ctx, &api.ListSnapshotsRequest{Snapshotter: kind, Filters: filters})
		var all []string
		for err == nil {
			var batch *api.ListSnapshotsResponse
			if batch, err = stream.Recv(); err == nil {
				for _, one := range batch.Info {
					all = append(all, one.Name)
				}
			}
		}
		return strings.Join(all, " "), ended(err)
	}
	for _, c := range []struct{ filter, want string }{
		{"", "b c rebased v"}, {"parent==c", "b rebased v"}, {"kind==active", "b"}, {"kind==view", "v"},
		{"kind==committed", "c rebased"}, {"name==c,labels.p==5", "c"}, {"parent", "b c rebased v"},
	} {
		got, err := list(c.filter)
		s.ok("list "+c.filter, err)
		s.is("listed "+c.filter, got, c.want)
	}
	_, err := list("name=x")
	s.refusedWith("bad filter", err, codes.Unknown, "filters: parse error: [name >|=|< x]: unsupported operator \"=\"")
	stream, err := api.NewSnapshotsClient(s.conn).List(s.in(""), &api.ListSnapshotsRequest{Snapshotter: kind})
	if err == nil {
		_, err = stream.Recv()
	}
	s.refused("list without a namespace", err, codes.Unknown, "namespace is required: failed precondition")
}

// inMount runs something with the mounts in a directory of its own.
func inMount(mounts []*types.Mount, run func(string) error) error {
	dir, err := os.MkdirTemp("", "client-mount")
	if err != nil {
		return err
	}
	defer os.Remove(dir)
	if err := mount.All(mount.FromProto(mounts), dir); err != nil {
		return err
	}
	defer mount.UnmountAll(dir, 0)
	return run(dir)
}
