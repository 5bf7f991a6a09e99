package io.pluresdb.storage.embedding;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * A model folder made by the test: each piece's row of a table, so a text's embedding is the mean
 * of its pieces' rows. The model is one Gather, written as the protocol buffer that onnx.proto3
 * describes.
 */
final class TinyModel {
  static final List<String> WORDS =
      List.of("[PAD]", "[UNK]", "[CLS]", "[SEP]", "cat", "##s", "dog", "tax", "!", "e");
  static final int DIMENSIONS = WORDS.size();

  private TinyModel() {}

  /** Writes {@code model.onnx} and {@code tokenizer.json}; the table is the unit matrix. */
  static Path write(Path folder) throws IOException {
    Files.createDirectories(folder);
    Files.write(folder.resolve("model.onnx"), model());
    var vocabulary = new StringBuilder();
    for (int i = 0; i < WORDS.size(); i++) {
      vocabulary.append(i == 0 ? "" : ",").append('"').append(WORDS.get(i)).append("\":").append(i);
    }
    Files.writeString(
        folder.resolve("tokenizer.json"),
        "{\"normalizer\":{\"type\":\"BertNormalizer\",\"lowercase\":true},"
            + "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\","
            + "\"continuing_subword_prefix\":\"##\",\"vocab\":{"
            + vocabulary
            + "}}}");
    return folder;
  }

  private static byte[] model() {
    ByteBuffer table =
        ByteBuffer.allocate(4 * DIMENSIONS * DIMENSIONS).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < DIMENSIONS; i++) {
      table.putFloat(4 * (i * DIMENSIONS + i), 1);
    }
    byte[] initializer =
        new Message()
            .number(1, DIMENSIONS)
            .number(1, DIMENSIONS)
            .number(2, 1) // float
            .text(8, "table")
            .bytes(9, table.array())
            .toByteArray();
    byte[] node =
        new Message()
            .text(1, "table")
            .text(1, "input_ids")
            .text(2, "last_hidden_state")
            .text(4, "Gather")
            .toByteArray();
    byte[] graph =
        new Message()
            .bytes(1, node)
            .text(2, "tiny")
            .bytes(5, initializer)
            .bytes(11, value("input_ids", 7, "texts", "pieces")) // int64
            .bytes(12, value("last_hidden_state", 1, "texts", "pieces", "dimensions"))
            .toByteArray();
    byte[] opset = new Message().text(1, "").number(2, 13).toByteArray();
    return new Message().number(1, 8).bytes(7, graph).bytes(8, opset).toByteArray();
  }

  private static byte[] value(String name, int type, String... dimensions) {
    var shape = new Message();
    for (String dimension : dimensions) {
      shape.bytes(1, new Message().text(2, dimension).toByteArray());
    }
    byte[] tensor = new Message().number(1, type).bytes(2, shape.toByteArray()).toByteArray();
    return new Message()
        .text(1, name)
        .bytes(2, new Message().bytes(1, tensor).toByteArray())
        .toByteArray();
  }

  /** A protocol buffer message: fields one after another. */
  private static final class Message {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    Message number(int field, long value) {
      varint((long) field << 3);
      varint(value);
      return this;
    }

    Message bytes(int field, byte[] value) {
      varint((long) field << 3 | 2);
      varint(value.length);
      out.writeBytes(value);
      return this;
    }

    Message text(int field, String value) {
      return bytes(field, value.getBytes(StandardCharsets.UTF_8));
    }

    private void varint(long value) {
      long rest = value;
      while ((rest & ~0x7fL) != 0) {
        out.write((int) (rest | 0x80));
        rest >>>= 7;
      }
      out.write((int) rest);
    }

    byte[] toByteArray() {
      return out.toByteArray();
    }
  }
}
