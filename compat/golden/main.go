// Golden writes what the real Go packages make of every message gantry speaks: the wire bytes, the JSON that
// containerd's client prints for events, and the field paths that its filters see.
//
//	go run . ../../crates/wire/tests/golden
package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"log"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "github.com/containerd/cgroups/v3/cgroup1/stats"
	_ "github.com/containerd/cgroups/v3/cgroup2/stats"
	_ "github.com/containerd/containerd/api/events"
	_ "github.com/containerd/containerd/api/runtime/bootstrap/v1"
	_ "github.com/containerd/containerd/api/runtime/sandbox/v1"
	_ "github.com/containerd/containerd/api/runtime/task/v2"
	_ "github.com/containerd/containerd/api/runtime/task/v3"
	_ "github.com/containerd/containerd/api/services/containers/v1"
	_ "github.com/containerd/containerd/api/services/content/v1"
	_ "github.com/containerd/containerd/api/services/diff/v1"
	_ "github.com/containerd/containerd/api/services/events/v1"
	_ "github.com/containerd/containerd/api/services/images/v1"
	_ "github.com/containerd/containerd/api/services/introspection/v1"
	_ "github.com/containerd/containerd/api/services/leases/v1"
	_ "github.com/containerd/containerd/api/services/mounts/v1"
	_ "github.com/containerd/containerd/api/services/namespaces/v1"
	_ "github.com/containerd/containerd/api/services/sandbox/v1"
	_ "github.com/containerd/containerd/api/services/snapshots/v1"
	_ "github.com/containerd/containerd/api/services/streaming/v1"
	_ "github.com/containerd/containerd/api/services/tasks/v1"
	_ "github.com/containerd/containerd/api/services/transfer/v1"
	_ "github.com/containerd/containerd/api/services/ttrpc/events/v1"
	_ "github.com/containerd/containerd/api/services/version/v1"
	_ "github.com/containerd/containerd/api/types"
	_ "github.com/containerd/containerd/api/types/runc/options"
	_ "github.com/containerd/containerd/api/types/runtimeoptions/v1"
	_ "github.com/containerd/containerd/api/types/task"
	_ "github.com/containerd/containerd/api/types/transfer"
	_ "google.golang.org/genproto/googleapis/rpc/status"
	_ "google.golang.org/grpc/health/grpc_health_v1"
)

// ours says whether a package is one that gantry has a definition of.
func ours(pkg string) bool {
	switch {
	case pkg == "google.rpc", pkg == "grpc.health.v1", pkg == "runtimeoptions.v1":
		return true
	}
	return strings.HasPrefix(pkg, "containerd.") || strings.HasPrefix(pkg, "io.containerd.cgroups.")
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: golden DIRECTORY")
	}
	packages := map[string][]protoreflect.MessageDescriptor{}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if pkg := string(file.Package()); ours(pkg) {
			for i := range file.Messages().Len() {
				packages[pkg] = append(packages[pkg], file.Messages().Get(i))
			}
		}
		return true
	})
	for pkg, messages := range packages {
		sort.Slice(messages, func(i, j int) bool { return messages[i].FullName() < messages[j].FullName() })
		var out strings.Builder
		for _, message := range messages {
			describe(&out, message)
		}
		write(pkg+".txt", out.String())
	}
	write("events.json.txt", events())
}

func write(name, text string) {
	if err := os.WriteFile(filepath.Join(os.Args[1], name), []byte(text), 0o644); err != nil {
		log.Fatal(err)
	}
}

// describe writes one message with every field set: its name, its bytes, and its scalar fields one a line.
func describe(out *strings.Builder, descriptor protoreflect.MessageDescriptor) {
	message := fresh(descriptor)
	fill(message.ProtoReflect(), plain)
	fmt.Fprintf(out, "message %s\nbytes %s\n", descriptor.FullName(), hex.EncodeToString(marshal(message)))
	fields := descriptor.Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		value := message.ProtoReflect().Get(field)
		switch {
		case field.IsList() || field.IsMap() || field.Message() != nil || field.HasOptionalKeyword():
			fmt.Fprintf(out, "has %s\n", field.Name())
		case field.Kind() == protoreflect.EnumKind:
			fmt.Fprintf(out, "enum %s %s\n", field.Name(), field.Enum().Values().ByNumber(value.Enum()).Name())
		case field.Kind() == protoreflect.StringKind:
			fmt.Fprintf(out, "text %s %s\n", field.Name(), value.String())
		case field.Kind() == protoreflect.BytesKind:
			fmt.Fprintf(out, "blob %s %s\n", field.Name(), value.Bytes())
		default:
			fmt.Fprintf(out, "number %s %v\n", field.Name(), value.Interface())
		}
	}
}

// events renders every event message full, empty, and with text that needs escaping.
func events() string {
	var names []string
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if strings.HasPrefix(file.Path(), "events/") {
			for i := range file.Messages().Len() {
				names = append(names, string(file.Messages().Get(i).FullName()))
			}
		}
		return true
	})
	sort.Strings(names)
	var out strings.Builder
	for _, name := range names {
		for _, text := range []func(string) string{plain, hostile, nil} {
			found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
			if err != nil {
				log.Fatal(err)
			}
			message := fresh(found.(protoreflect.MessageDescriptor))
			if text != nil {
				fill(message.ProtoReflect(), text)
			}
			event(&out, name, message)
		}
	}
	return out.String()
}

func event(out *strings.Builder, name string, message proto.Message) {
	rendered, err := json.Marshal(message)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprintf(out, "event %s\nbytes %s\njson %s\n", name, hex.EncodeToString(marshal(message)), rendered)
	fields, ok := message.(interface {
		Field(path []string) (string, bool)
	})
	if !ok {
		return
	}
	for _, path := range paths(message.ProtoReflect().Descriptor(), nil, 0) {
		if value, ok := fields.Field(path); ok {
			quoted, err := json.Marshal(value)
			if err != nil {
				log.Fatal(err)
			}
			fmt.Fprintf(out, "path %s %s\n", strings.Join(path, "."), quoted)
		} else {
			fmt.Fprintf(out, "none %s\n", strings.Join(path, "."))
		}
	}
}

// paths lists a path to every field, and some that lead nowhere.
func paths(descriptor protoreflect.MessageDescriptor, prefix []string, depth int) [][]string {
	at := func(names ...string) []string { return append(append([]string{}, prefix...), names...) }
	all := [][]string{at("absent")}
	fields := descriptor.Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		name := string(field.Name())
		all = append(all, at(name), at(name, "more"))
		switch {
		case field.IsMap():
			all = append(all, at(name, "key.one"), at(name, "key", "one"))
		case field.Message() != nil && depth < 3:
			all = append(all, paths(field.Message(), at(name), depth+1)...)
		}
	}
	return all
}

func fresh(descriptor protoreflect.MessageDescriptor) proto.Message {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(descriptor.FullName())
	if err != nil {
		log.Fatal(err)
	}
	return kind.New().Interface()
}

func marshal(message proto.Message) []byte {
	wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
	if err != nil {
		log.Fatal(err)
	}
	return wire
}

func plain(name string) string { return name }

func hostile(name string) string { return name + " <a href=\"x\">&\\\n\r\t\b\f\x01\x7f\u2028ä" }

// fill sets every field to something that follows from its name, so that a swapped pair shows.
func fill(message protoreflect.Message, text func(string) string) {
	fields := message.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		switch {
		case field.IsMap():
			entries := message.Mutable(field).Map()
			for _, key := range []string{"key.one", "other"} {
				value := entries.NewValue()
				if field.MapValue().Message() != nil {
					fill(value.Message(), text)
				} else {
					value = scalar(field.MapValue(), text(string(field.Name())+" "+key))
				}
				entries.Set(protoreflect.ValueOfString(key).MapKey(), value)
			}
		case field.IsList():
			list := message.Mutable(field).List()
			for n := range 2 {
				value := list.NewElement()
				if field.Message() != nil {
					fill(value.Message(), text)
				} else {
					value = scalar(field, text(fmt.Sprint(field.Name(), " ", n)))
				}
				list.Append(value)
			}
		case field.Message() != nil:
			fill(message.Mutable(field).Message(), text)
		case field.FullName() == "google.protobuf.Timestamp.nanos":
			message.Set(field, protoreflect.ValueOfInt32(987654321))
		default:
			message.Set(field, scalar(field, text(string(field.Name()))))
		}
	}
}

func scalar(field protoreflect.FieldDescriptor, text string) protoreflect.Value {
	number := crc32.ChecksumIEEE([]byte(text))
	switch field.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(text)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(text))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(number)
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(uint64(number) << 31)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(-int32(number >> 2))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(-int64(number) << 20)
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(float64(number) / 4)
	case protoreflect.EnumKind:
		values := field.Enum().Values()
		if values.Len() == 1 {
			return protoreflect.ValueOfEnum(values.Get(0).Number())
		}
		return protoreflect.ValueOfEnum(values.Get(1 + int(number)%(values.Len()-1)).Number())
	}
	log.Fatalf("no value for %s of kind %s", field.FullName(), field.Kind())
	return protoreflect.Value{}
}
