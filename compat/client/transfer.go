package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"time"

	images "github.com/containerd/containerd/api/services/images/v1"
	leases "github.com/containerd/containerd/api/services/leases/v1"
	api "github.com/containerd/containerd/api/services/streaming/v1"
	transfers "github.com/containerd/containerd/api/services/transfer/v1"
	transfertypes "github.com/containerd/containerd/api/types/transfer"
	"github.com/containerd/containerd/v2/core/transfer"
	"github.com/containerd/containerd/v2/core/transfer/archive"
	"github.com/containerd/containerd/v2/core/transfer/image"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
)

func (s *suite) streaming() {
	streams := api.NewStreamingClient(s.conn)
	open := func(first *anypb.Any) (*anypb.Any, context.CancelFunc, error) {
		ctx, cancel := context.WithTimeout(s.ctx, single)
		stream, err := streams.Stream(ctx)
		if err != nil {
			return nil, cancel, err
		}
		if err := stream.Send(first); err != nil {
			return nil, cancel, err
		}
		answer, err := stream.Recv()
		return answer, cancel, err
	}
	answer, cancel, err := open(pack(&api.StreamInit{ID: "one"}))
	defer cancel()
	s.ok("open", err)
	s.is("answered", answer.GetTypeUrl(), "google.protobuf.Empty")
	_, second, err := open(pack(&api.StreamInit{ID: "one"}))
	second()
	s.refusedWith("taken", err, codes.Unknown, "already exists")
	_, third, err := open(pack(&emptypb.Empty{}))
	third()
	s.refusedWith("another first message", err, codes.Unknown, "can't unmarshal type \"google.protobuf.Empty\" to output \"containerd.services.streaming.v1.StreamInit\"")
	_, fourth, err := open(pack(&api.StreamInit{ID: ""}))
	fourth()
	s.ok("an empty id", err)
	s.leasedStream(streams)
	if s.ours {
		// The daemon hears a little later that the client is gone.
		cancel()
		for giveUp := time.Now().Add(single); ; {
			_, again, err := open(pack(&api.StreamInit{ID: "one"}))
			again()
			if err == nil || time.Now().After(giveUp) {
				s.ok("the id of a client that has gone", err)
				break
			}
		}
	}
}

// leasedStream is closed when its lease goes.
func (s *suite) leasedStream(streams api.StreamingClient) {
	_, err := leases.NewLeasesClient(s.conn).Create(s.ctx, &leases.CreateRequest{ID: "streaming"})
	s.must("lease", err)
	ctx, cancel := context.WithTimeout(leased(s.ctx, "streaming"), single)
	defer cancel()
	stream, err := streams.Stream(ctx)
	s.must("open under a lease", err)
	s.ok("send", stream.Send(pack(&api.StreamInit{ID: "leased"})))
	_, err = stream.Recv()
	s.ok("opened under a lease", err)
	_, err = leases.NewLeasesClient(s.conn).Delete(s.ctx, &leases.DeleteRequest{ID: "streaming", Sync: true})
	s.ok("delete lease", err)
	_, err = stream.Recv()
	s.ok("closed with its lease", ended(err))
}

// imports brings the archive in under this name, unpacked, and answers the progress events.
func (s *suite) imports(name string, options ...image.StoreOpt) ([]string, error) {
	file, err := os.Open(s.archive)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var said []string
	err = s.client.Transfer(s.ctx, archive.NewImageImportStream(file, ""), image.NewStore(name, options...),
		transfer.WithProgress(func(p transfer.Progress) { said = append(said, p.Event) }))
	return said, err
}

func (s *suite) transfer() {
	store := images.NewImagesClient(s.conn)
	get := func(name string) *images.Image {
		answer, err := store.Get(s.ctx, &images.GetImageRequest{Name: name})
		s.ok("get "+name, err)
		return answer.GetImage()
	}
	said, err := s.imports("whole", image.WithImageLabels(labels{"l": "1"}), image.WithUnpack(platforms.DefaultSpec(), "overlayfs"))
	s.must("import", err)
	s.is("import says", len(said) > 2 && said[0] == "Importing" && strings.Contains(strings.Join(said, " "), "saved"), true)
	s.is("the index itself", []any{get("whole").GetTarget().GetMediaType(), printed(get("whole").GetLabels())},
		"[application/vnd.oci.image.index.v1+json map[l:1]]")
	before, _, _ := strings.Cut(s.image, "/")
	_, err = s.imports("", image.WithNamedPrefix(before, false))
	s.ok("import by prefix", err)
	s.is("the manifest", get(s.image).GetTarget().GetMediaType(), "application/vnd.oci.image.manifest.v1+json")
	_, err = s.imports("")
	s.ok("import under no name", err)
	err = s.client.Transfer(s.ctx, archive.NewImageImportStream(strings.NewReader("nonsense that is no tar"), ""), image.NewStore("x"))
	s.is("import nonsense", err, "unexpected EOF")
	err = s.client.Transfer(s.ctx, archive.NewImageImportStream(bytes.NewReader(make([]byte, 1024)), ""), image.NewStore("x"))
	s.is("import an empty tar", err != nil && strings.Contains(err.Error(), "unrecognized image format"), true)

	s.ok("tag", s.client.Transfer(s.ctx, image.NewStore("whole"), image.NewStore("tagged", image.WithImageLabels(labels{"t": "1"}))))
	s.is("tagged", []any{get("tagged").GetTarget().GetDigest() == get("whole").GetTarget().GetDigest(), printed(get("tagged").GetLabels())}, "[true map[t:1]]")
	err = s.client.Transfer(s.ctx, image.NewStore("none"), image.NewStore("tagged"))
	s.is("tag none", err != nil && strings.Contains(err.Error(), "image \"none\": not found"), true)
	_, err = transfers.NewTransferClient(s.conn).Transfer(s.ctx, &transfers.TransferRequest{
		Source: pack(&transfertypes.ImageStore{Name: "whole"}), Destination: pack(&transfertypes.ImageStore{})})
	s.refusedWith("tag to no name", err, codes.NotFound, "no image name found")

	out := &sink{}
	said = nil
	err = s.client.Transfer(s.ctx, image.NewStore("whole"), archive.NewImageExportStream(out, "", archive.WithAllPlatforms),
		transfer.WithProgress(func(p transfer.Progress) { said = append(said, p.Event) }))
	s.ok("export", err)
	s.is("export says", len(said) > 1 && said[0] == "Exporting" && said[len(said)-1] == "Completed export", true)
	s.is("an archive", bytes.Contains(out.Bytes(), []byte("index.json")) && bytes.Contains(out.Bytes(), []byte("oci-layout")), true)
	err = s.client.Transfer(s.ctx, archive.NewImageImportStream(bytes.NewReader(out.Bytes()), ""), image.NewStore("again"))
	s.ok("import what was exported", err)
	err = s.client.Transfer(s.ctx, image.NewStore("none"), archive.NewImageExportStream(&sink{}, ""))
	s.is("export none", err != nil && strings.Contains(err.Error(), "image \"none\": not found"), true)
	echo := &sink{}
	err = s.client.Transfer(s.ctx, archive.NewImageImportStream(strings.NewReader("echoed"), ""), archive.NewImageExportStream(echo, ""))
	if s.ours {
		s.is("an archive to an archive", errdefs.IsNotImplemented(err), true)
	} else {
		s.ok("echo", err)
		s.is("echoed", echo.String(), "echoed")
	}
	_, err = transfers.NewTransferClient(s.conn).Transfer(s.ctx, &transfers.TransferRequest{Source: pack(&emptypb.Empty{}), Destination: pack(&emptypb.Empty{})})
	s.refusedWith("nothing to nothing", err, codes.Unimplemented, "method Transfer not implemented for google.protobuf.Empty to google.protobuf.Empty")
	for _, name := range []string{"whole", "tagged", "again", s.image} {
		_, err = store.Delete(s.ctx, &images.DeleteImageRequest{Name: name, Sync: true})
		s.ok("delete "+name, err)
	}
}

// sink takes an export.
type sink struct{ bytes.Buffer }

func (*sink) Close() error { return nil }
