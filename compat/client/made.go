package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sort"
	"strings"

	containers "github.com/containerd/containerd/api/services/containers/v1"
	content "github.com/containerd/containerd/api/services/content/v1"
	images "github.com/containerd/containerd/api/services/images/v1"
	"github.com/containerd/containerd/api/types"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// absent is the digest of no blob.
const absent = "sha256:00000000000000000000000000000000000000000000000000000000000000aa"

// sum is the digest of some bytes.
func sum(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }

// pack is a message in an Any the way containerd writes it: the bare name, no host.
func pack(message proto.Message) *anypb.Any {
	value, _ := proto.Marshal(message)
	return &anypb.Any{TypeUrl: string(message.ProtoReflect().Descriptor().FullName()), Value: value}
}

// printed is a map as Go prints it, keys in order, nil as the empty one.
func printed(m labels) string {
	if m == nil {
		m = labels{}
	}
	return fmt.Sprint(m)
}

// sorted is some words in order, joined.
func sorted(words []string) string {
	sort.Strings(words)
	return strings.Join(words, " ")
}

func plainContainer(id string) *containers.Container {
	return &containers.Container{ID: id, Runtime: &containers.Container_Runtime{Name: "io.containerd.runc.v2"}}
}

func plainImage(name, digest string) *images.Image {
	return &images.Image{Name: name, Target: &types.Descriptor{
		MediaType: "application/octet-stream", Digest: digest, Size: 7,
	}}
}

// blob writes a blob with these labels and answers its digest.
func (s *suite) blob(ctx context.Context, data []byte, with ...labels) string {
	request := &content.WriteContentRequest{Action: content.WriteAction_COMMIT, Ref: sum(data), Data: data, Total: int64(len(data))}
	if len(with) > 0 {
		request.Labels = with[0]
	}
	_, err := s.written(ctx, request)
	s.ok("write a blob", err)
	return sum(data)
}

// written sends these messages over one Write and answers everything that came.
func (s *suite) written(ctx context.Context, requests ...*content.WriteContentRequest) ([]*content.WriteContentResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, single)
	defer cancel()
	stream, err := content.NewContentClient(s.conn).Write(ctx)
	if err != nil {
		return nil, err
	}
	var all []*content.WriteContentResponse
	for _, request := range requests {
		// The reason for a failed Send is what Recv says.
		if stream.Send(request) != nil {
			break
		}
		answer, err := stream.Recv()
		if err != nil {
			return all, err
		}
		all = append(all, proto.Clone(answer).(*content.WriteContentResponse))
	}
	if err := stream.CloseSend(); err != nil {
		return all, err
	}
	for {
		answer, err := stream.Recv()
		if err != nil {
			return all, ended(err)
		}
		all = append(all, answer)
	}
}

func itoa(n int) string { return fmt.Sprint(n) }
