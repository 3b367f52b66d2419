package main

import (
	"context"
	"errors"
	"io"
	"strings"

	api "github.com/containerd/containerd/api/services/content/v1"
	leases "github.com/containerd/containerd/api/services/leases/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// ended is nil at the regular end of a stream.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// leased adds a lease's header.
func leased(ctx context.Context, lease string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "containerd-lease", lease)
}

func (s *suite) content() {
	store := api.NewContentClient(s.conn)
	_, err := leases.NewLeasesClient(s.conn).Create(s.ctx, &leases.CreateRequest{ID: "content"})
	s.must("lease", err)
	ctx := leased(s.ctx, "content")
	data := []byte(strings.Repeat("0123456789", 150_000))
	digest := s.blob(ctx, data, labels{"a": "1", "none": ""})
	small := s.blob(ctx, []byte("hello"))
	empty := s.blob(ctx, nil)
	info, err := store.Info(ctx, &api.InfoRequest{Digest: digest})
	s.ok("info", err)
	s.is("size and labels", []string{info.GetInfo().GetDigest(), printed(info.GetInfo().GetLabels())}, "["+digest+" map[a:1]]")
	s.is("size", info.GetInfo().GetSize(), len(data))
	_, err = store.Info(ctx, &api.InfoRequest{Digest: absent})
	s.refused("info of none", err, codes.NotFound, "content digest "+absent+": not found")
	_, err = store.Info(ctx, &api.InfoRequest{Digest: "x"})
	s.refused("info of a bad digest", err, codes.InvalidArgument, "\"x\" failed validation")
	s.contentUpdates(store, ctx, small)

	read := func(digest string, offset, size int64) (string, error) {
		stream, err := store.Read(ctx, &api.ReadContentRequest{Digest: digest, Offset: offset, Size: size})
		if err != nil {
			return "", err
		}
		var all []byte
		for {
			part, err := stream.Recv()
			if err != nil {
				return string(all), ended(err)
			}
			if part.Offset != int64(len(all)) || len(part.Data) > 1<<20 {
				s.fail("parts of a read", "offset %d after %d bytes, %d bytes", part.Offset, len(all), len(part.Data))
			}
			all = append(all, part.Data...)
		}
	}
	for _, c := range []struct {
		name         string
		digest       string
		offset, size int64
		want         string
	}{
		{"read all", digest, 0, 0, string(data)}, {"read part", small, 1, 3, "ell"}, {"read to the end", small, 2, -1, "llo"},
		{"read over", small, 2, 100, "llo"}, {"read from below", small, -5, 2, "he"}, {"read at the end", small, 5, 1, ""},
		{"read empty", empty, 0, 0, ""}, {"read the middle", digest, 1_200_000, 0, string(data[1_200_000:])},
	} {
		got, err := read(c.digest, c.offset, c.size)
		s.ok(c.name, err)
		s.is(c.name+" is it", got == c.want, true)
	}
	_, err = read(small, 6, 0)
	s.refusedWith("read past", err, codes.OutOfRange, "read past object length 5 bytes")
	_, err = read(absent, 0, 0)
	s.refusedWith("read none", err, codes.NotFound, absent+": not found")
	_, err = read("x", 0, 0)
	s.refusedWith("read a bad digest", err, codes.InvalidArgument, "x: invalid checksum digest format")

	list := func(filters ...string) (string, error) {
		stream, err := store.List(ctx, &api.ListContentRequest{Filters: filters})
		var all []string
		for err == nil {
			var batch *api.ListContentResponse
			if batch, err = stream.Recv(); err == nil {
				for _, one := range batch.Info {
					all = append(all, one.Digest)
				}
			}
		}
		return strings.Join(all, " "), ended(err)
	}
	got, err := list()
	s.ok("list", err)
	s.is("listed in order", got, sorted([]string{digest, small, empty}))
	got, err = list("labels.b==2")
	s.ok("list with filter", err)
	s.is("filtered", got, small)
	got, err = list("size==5")
	s.ok("list by size", err)
	s.is("size never matches", got, "")
	_, err = list("digest=x")
	s.refused("bad filter", err, codes.InvalidArgument, "filters: parse error: [digest >|=|< x]: unsupported operator \"=\": invalid argument")

	for _, one := range []string{digest, small, empty} {
		_, err = store.Delete(ctx, &api.DeleteContentRequest{Digest: one})
		s.ok("delete", err)
	}
	_, err = store.Delete(ctx, &api.DeleteContentRequest{Digest: small})
	s.refused("delete none", err, codes.NotFound, "content digest "+small+": not found")
	_, err = store.Delete(ctx, &api.DeleteContentRequest{Digest: "md5:x"})
	s.refused("delete another algorithm", err, codes.InvalidArgument, "unsupported digest algorithm")
	_, err = store.Delete(ctx, &api.DeleteContentRequest{Digest: "x"})
	s.refused("delete a bad digest", err, codes.InvalidArgument, "invalid checksum digest format")
	rest, err := leases.NewLeasesClient(s.conn).ListResources(s.ctx, &leases.ListResourcesRequest{ID: "content"})
	s.ok("lease's resources", err)
	s.is("delete takes them from the lease", len(rest.GetResources()), 0)
	_, err = leases.NewLeasesClient(s.conn).Delete(s.ctx, &leases.DeleteRequest{ID: "content"})
	s.ok("delete lease", err)
}

func (s *suite) contentUpdates(store api.ContentClient, ctx context.Context, digest string) {
	update := func(l labels, paths ...string) (string, error) {
		request := &api.UpdateRequest{Info: &api.Info{Digest: digest, Labels: l, Size: 99}}
		if len(paths) > 0 {
			request.UpdateMask = &fieldmaskpb.FieldMask{Paths: paths}
		}
		answer, err := store.Update(ctx, request)
		return printed(answer.GetInfo().GetLabels()), err
	}
	got, err := update(labels{"a": "1", "b": "2"}, "labels.a")
	s.ok("update a label", err)
	s.is("updated a label", got, "map[a:1]")
	_, err = update(nil, "labels.a", "size")
	s.refused("update size", err, codes.InvalidArgument, "cannot update \"size\" field on content info \""+digest+"\": invalid argument")
	got, err = update(labels{"b": "2", "c": ""})
	s.ok("update whole", err)
	s.is("updated whole", got, "map[b:2]")
	_, err = update(labels{"k": strings.Repeat("v", 4096)})
	s.refusedWith("update long label", err, codes.InvalidArgument, "info.Labels: label key and value length (4097 bytes)")
	_, err = store.Update(ctx, &api.UpdateRequest{Info: &api.Info{Digest: "x"}})
	s.refusedWith("update a bad digest", err, codes.InvalidArgument, "\"x\" failed validation")
	_, err = store.Update(ctx, &api.UpdateRequest{Info: &api.Info{Digest: absent}})
	s.refused("update none", err, codes.NotFound, "content digest "+absent+": not found")
}

// write: the state machine of Write, and Status, ListStatuses and Abort of what it leaves.
func (s *suite) write() {
	store := api.NewContentClient(s.conn)
	const stat, write, commit = api.WriteAction_STAT, api.WriteAction_WRITE, api.WriteAction_COMMIT
	_, err := s.written(s.ctx)
	s.refusedWith("no message", err, codes.Unknown, "EOF")
	_, err = s.written(s.ctx, &api.WriteContentRequest{Action: stat})
	s.refused("no ref", err, codes.InvalidArgument, "first message must have a reference")

	all, err := s.written(s.ctx,
		&api.WriteContentRequest{Action: stat, Ref: "r", Total: 10},
		&api.WriteContentRequest{Action: write, Data: []byte("hello")},
		&api.WriteContentRequest{Action: write, Data: []byte(" world"), Offset: 5},
		&api.WriteContentRequest{Action: stat})
	s.ok("half-close", err)
	if s.is("one answer each and the last again", len(all), 5) {
		s.is("offsets", []int64{all[0].Offset, all[1].Offset, all[2].Offset, all[3].Offset, all[4].Offset}, "[0 5 11 11 11]")
		s.is("total and start stick", all[1].Total == 10 && all[1].StartedAt != nil, true)
		s.is("digest so far", all[3].Digest, sum([]byte("hello world")))
	}
	status, err := store.Status(s.ctx, &api.StatusRequest{Ref: "r"})
	s.ok("status", err)
	one := status.GetStatus()
	s.is("status is", []any{one.GetRef(), one.GetOffset(), one.GetTotal(), one.GetExpected()}, "[r 11 10 ]")
	_, err = store.Status(s.ctx, &api.StatusRequest{Ref: "no"})
	s.refused("status of none", err, codes.NotFound, "could not get status for ref \"no\": reference no: not found")
	_, err = store.Status(s.in(s.ns+"-none"), &api.StatusRequest{Ref: "no"})
	s.refusedWith("status without namespace", err, codes.NotFound, "could not get status for ref \"no\": ")
	for filter, want := range map[string]int{"ref==r": 1, "ref==x": 0, "offset==11": 0} {
		list, err := store.ListStatuses(s.ctx, &api.ListStatusesRequest{Filters: []string{filter}})
		s.ok("list statuses "+filter, err)
		s.is("statuses "+filter, len(list.GetStatuses()), want)
	}
	_, err = store.ListStatuses(s.ctx, &api.ListStatusesRequest{Filters: []string{"ref=x"}})
	s.refusedWith("statuses, bad filter", err, codes.InvalidArgument, "filters: parse error: [ref >|=|< x]: unsupported operator \"=\": invalid argument")

	// The ingest is resumed, refused and committed.
	resume := &api.WriteContentRequest{Action: stat, Ref: "r"}
	_, err = s.written(s.ctx, &api.WriteContentRequest{Action: write, Ref: "r", Offset: 3, Data: []byte("x")})
	s.refused("wrong offset", err, codes.OutOfRange, "write @3 must occur at current offset 11")
	_, err = s.written(s.ctx, resume, &api.WriteContentRequest{Action: commit, Offset: 11, Total: 12})
	s.refusedWith("wrong size", err, codes.FailedPrecondition, "failed size validation: 11 != 12: failed precondition")
	_, err = s.written(s.ctx, resume, &api.WriteContentRequest{Action: commit, Offset: 11, Total: 11, Expected: absent})
	s.refusedWith("wrong digest", err, codes.FailedPrecondition,
		"unexpected commit digest "+sum([]byte("hello world"))+", expected "+absent+": failed precondition")
	_, err = s.written(s.ctx, resume, &api.WriteContentRequest{Action: commit, Offset: 11, Total: 11, Labels: labels{"k": strings.Repeat("v", 4096)}})
	s.refusedWith("long label", err, codes.InvalidArgument, "label key and value length (4097 bytes)")
	all, err = s.written(s.ctx, resume, &api.WriteContentRequest{Action: commit, Offset: 11, Total: 11, Expected: sum([]byte("hello world")), Labels: labels{"containerd.io/gc.root": "x"}})
	s.ok("commit", err)
	if s.is("commit is said twice", len(all), 3) {
		s.is("committed", []any{all[1].Action, all[1].Offset, all[1].Digest}, "[COMMIT 11 "+sum([]byte("hello world"))+"]")
	}
	exists := sum([]byte("hello world"))
	_, err = s.written(s.ctx, &api.WriteContentRequest{Action: stat, Ref: "again", Expected: exists})
	s.refused("exists when opened", err, codes.AlreadyExists, "content "+exists+": already exists")
	_, err = s.written(s.ctx, &api.WriteContentRequest{Action: stat, Ref: "again"}, &api.WriteContentRequest{Action: write, Expected: exists, Data: []byte("x")})
	s.refused("exists while written", err, codes.AlreadyExists, "blob with expected digest "+exists+" exists")
	_, err = s.written(s.ctx, &api.WriteContentRequest{Action: commit, Ref: "again", Data: []byte("hello world")})
	s.refused("exists when committed", err, codes.AlreadyExists, "content "+exists+": already exists")
	_, err = store.Status(s.ctx, &api.StatusRequest{Ref: "again"})
	s.refusedWith("all three remove the ingest", err, codes.NotFound, "not found")

	s.leasedByRefusals(exists)

	// Offset 0 begins again; a committed nothing is the empty blob.
	all, err = s.written(s.ctx, &api.WriteContentRequest{Action: write, Ref: "z", Data: []byte("abc")},
		&api.WriteContentRequest{Action: write, Data: []byte("de")})
	s.ok("write from the start", err)
	if s.is("written from the start", len(all), 3) {
		s.is("truncated", all[1].Offset, 2)
	}
	_, err = s.written(s.ctx, &api.WriteContentRequest{Action: commit, Ref: "z", Labels: labels{"containerd.io/gc.root": "x"}})
	s.ok("commit nothing", err)
	_, err = store.Info(s.ctx, &api.InfoRequest{Digest: sum(nil)})
	s.ok("the empty blob", err)
	s.refusedWith("negative offset appends", s.appended(), codes.OK)
	s.locked(store)
	for _, digest := range []string{exists, sum(nil)} {
		_, err = store.Delete(s.ctx, &api.DeleteContentRequest{Digest: digest})
		s.ok("delete", err)
	}
}

// leasedByRefusals has the lease of a refused write hold the blob that was there, or not.
func (s *suite) leasedByRefusals(exists string) {
	held := leases.NewLeasesClient(s.conn)
	for what, requests := range map[string][]*api.WriteContentRequest{
		"opened":    {{Ref: "again", Expected: exists}},
		"written":   {{Ref: "again"}, {Action: api.WriteAction_WRITE, Expected: exists, Data: []byte("x")}},
		"committed": {{Action: api.WriteAction_COMMIT, Ref: "again", Data: []byte("hello world")}},
	} {
		_, err := held.Create(s.ctx, &leases.CreateRequest{ID: what})
		s.must("lease", err)
		_, err = s.written(leased(s.ctx, what), requests...)
		s.refusedWith("exists when "+what+" under a lease", err, codes.AlreadyExists)
		list, err := held.ListResources(s.ctx, &leases.ListResourcesRequest{ID: what})
		s.ok("lease's resources", err)
		ids := []string{}
		for _, resource := range list.GetResources() {
			ids = append(ids, resource.ID)
		}
		want := "[" + exists + "]"
		if what == "written" {
			want = "[]"
		}
		s.is("leased when "+what, ids, want)
		_, err = held.Delete(s.ctx, &leases.DeleteRequest{ID: what})
		s.ok("delete lease", err)
	}
}

// appended writes twice at offset -1.
func (s *suite) appended() error {
	all, err := s.written(s.ctx, &api.WriteContentRequest{Action: api.WriteAction_WRITE, Ref: "n", Data: []byte("abc")},
		&api.WriteContentRequest{Action: api.WriteAction_WRITE, Offset: -1, Data: []byte("de")})
	if err == nil && len(all) > 1 {
		s.is("appended", all[1].Offset, 5)
	}
	_, gone := api.NewContentClient(s.conn).Abort(s.ctx, &api.AbortRequest{Ref: "n"})
	s.ok("abort", gone)
	return err
}

// locked has two writers of one reference.
func (s *suite) locked(store api.ContentClient) {
	ctx, cancel := context.WithTimeout(s.ctx, single)
	defer cancel()
	stream, err := store.Write(ctx)
	s.must("open", err)
	s.ok("send", stream.Send(&api.WriteContentRequest{Action: api.WriteAction_WRITE, Ref: "busy", Data: []byte("x")}))
	_, err = stream.Recv()
	s.ok("first writer", err)
	_, err = s.written(s.ctx, &api.WriteContentRequest{Action: api.WriteAction_STAT, Ref: "busy"})
	s.refusedWith("second writer", err, codes.Unavailable, "locked")
	s.ok("close", stream.CloseSend())
	for err = nil; err == nil; {
		_, err = stream.Recv()
	}
	s.ok("first writer's end", ended(err))
	_, err = store.Abort(s.ctx, &api.AbortRequest{Ref: "busy"})
	s.ok("abort a reference", err)
	_, err = store.Abort(s.ctx, &api.AbortRequest{Ref: "busy"})
	s.refused("abort none", err, codes.NotFound, "reference busy: not found")
}
