package main

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"

	content "github.com/containerd/containerd/api/services/content/v1"
	api "github.com/containerd/containerd/api/services/diff/v1"
	leases "github.com/containerd/containerd/api/services/leases/v1"
	snapshots "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/api/types"
	"google.golang.org/grpc/codes"
)

func (s *suite) diff() {
	_, err := leases.NewLeasesClient(s.conn).Create(s.ctx, &leases.CreateRequest{ID: "diff"})
	s.must("lease", err)
	ctx, diffs, snaps := leased(s.ctx, "diff"), api.NewDiffClient(s.conn), snapshots.NewSnapshotsClient(s.conn)
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	_ = w.WriteHeader(&tar.Header{Name: "dir/", Typeflag: tar.TypeDir, Mode: 0o755})
	_ = w.WriteHeader(&tar.Header{Name: "dir/file", Typeflag: tar.TypeReg, Mode: 0o600, Size: 5})
	_, _ = w.Write([]byte("hello"))
	_ = w.Close()
	digest := s.blob(ctx, layer.Bytes())
	const plain, zipped = "application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+gzip"
	for _, kind := range []string{"overlayfs", "native"} {
		lower, err := snaps.Prepare(ctx, &snapshots.PrepareSnapshotRequest{Snapshotter: kind, Key: "lower"})
		s.must("prepare", err)
		applied, err := diffs.Apply(ctx, &api.ApplyRequest{Diff: &types.Descriptor{MediaType: plain, Digest: digest, Size: 1}, Mounts: lower.Mounts, SyncFs: true})
		s.ok(kind+" apply", err)
		s.is(kind+" applied", []any{applied.GetApplied().GetDigest(), applied.GetApplied().GetSize(), applied.GetApplied().GetMediaType()},
			"["+digest+" "+itoa(layer.Len())+" "+plain+"]")
		s.ok(kind+" content", inMount(lower.Mounts, func(dir string) error {
			data, err := os.ReadFile(filepath.Join(dir, "dir/file"))
			s.is(kind+" file", string(data), "hello")
			return err
		}))
		_, err = snaps.Commit(ctx, &snapshots.CommitSnapshotRequest{Snapshotter: kind, Key: "lower", Name: "base"})
		s.ok(kind+" commit", err)
		upper, err := snaps.Prepare(ctx, &snapshots.PrepareSnapshotRequest{Snapshotter: kind, Key: "upper", Parent: "base"})
		s.must("prepare", err)
		s.ok(kind+" change", inMount(upper.Mounts, func(dir string) error {
			_ = os.Remove(filepath.Join(dir, "dir/file"))
			return os.WriteFile(filepath.Join(dir, "new"), []byte("new"), 0o644)
		}))
		view, err := snaps.View(ctx, &snapshots.ViewSnapshotRequest{Snapshotter: kind, Key: "view", Parent: "base"})
		s.must("view", err)
		for _, media := range []string{plain, zipped, ""} {
			made, err := diffs.Diff(ctx, &api.DiffRequest{Left: view.Mounts, Right: upper.Mounts, MediaType: media, Ref: "diff-" + kind + media, Labels: labels{"mine": "1"}})
			if !s.ok(kind+" diff "+media, err) {
				continue
			}
			info, err := content.NewContentClient(s.conn).Info(ctx, &content.InfoRequest{Digest: made.Diff.Digest})
			s.ok(kind+" diff is there "+media, err)
			_, uncompressed := info.GetInfo().GetLabels()["containerd.io/uncompressed"]
			s.is(kind+" diff's labels "+media, []any{info.GetInfo().GetLabels()["mine"], uncompressed, made.Diff.MediaType},
				[]any{"1", media != plain, map[bool]string{true: zipped, false: media}[media == ""]})
			s.is(kind+" diff's size "+media, info.GetInfo().GetSize(), made.Diff.Size)
			if media == plain {
				s.is(kind+" diff's entries", s.entries(made.Diff.Digest), "dir/ dir/.wh.file new")
			}
		}
		_, err = diffs.Diff(ctx, &api.DiffRequest{Left: view.Mounts, Right: upper.Mounts, MediaType: "text/plain"})
		s.refusedWith(kind+" diff to another type", err, codes.Unimplemented, "")
	}
	_, err = diffs.Apply(ctx, &api.ApplyRequest{Diff: &types.Descriptor{MediaType: plain, Digest: absent}})
	s.refusedWith("apply none", err, codes.NotFound, "failed to get reader from content store: content digest "+absent+": not found")
	for _, kind := range []string{"overlayfs", "native"} {
		for _, key := range []string{"view", "upper", "base"} {
			_, err = snaps.Remove(ctx, &snapshots.RemoveSnapshotRequest{Snapshotter: kind, Key: key})
			s.ok(kind+" remove "+key, err)
		}
	}
	_, err = leases.NewLeasesClient(s.conn).Delete(s.ctx, &leases.DeleteRequest{ID: "diff", Sync: true})
	s.ok("delete lease", err)
}

// entries is the names of a layer.
func (s *suite) entries(digest string) string {
	stream, err := content.NewContentClient(s.conn).Read(s.ctx, &content.ReadContentRequest{Digest: digest})
	var data []byte
	for err == nil {
		var part *content.ReadContentResponse
		if part, err = stream.Recv(); err == nil {
			data = append(data, part.Data...)
		}
	}
	s.ok("read the diff", ended(err))
	var names []string
	for reader := tar.NewReader(bytes.NewReader(data)); ; {
		header, err := reader.Next()
		if err != nil {
			return sorted(names)
		}
		names = append(names, header.Name)
	}
}
