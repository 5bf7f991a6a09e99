package io.pluresdb.storage.embedding;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.nio.LongBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A sentence transformer from a local folder, run by ONNX Runtime on the processor.
 *
 * <p>The folder holds {@code model.onnx} and {@code tokenizer.json}. The model takes {@code
 * input_ids} and, if it names them, {@code attention_mask} and {@code token_type_ids}, each int64
 * [texts, pieces]. Its first output is float [texts, pieces, dimensions], of which the mean over
 * the pieces is taken, or [texts, dimensions], which is taken as it is. Embeddings have length 1.
 */
public final class OnnxEmbedder implements EmbedText {
  private static final int BATCH = 16;
  private static final String IDS = "input_ids";
  private static final String MASK = "attention_mask";
  private static final String TYPES = "token_type_ids";

  private final String name;
  private final WordPiece tokenizer;
  private final OrtEnvironment environment;
  private final OrtSession session;

  private OnnxEmbedder(
      String name, WordPiece tokenizer, OrtEnvironment environment, OrtSession session) {
    this.name = name;
    this.tokenizer = tokenizer;
    this.environment = environment;
    this.session = session;
  }

  /**
   * Loads a model.
   *
   * @throws EmbeddingException naming the file that is missing or cannot be used
   */
  public static OnnxEmbedder load(Path folder) {
    Path model = folder.resolve("model.onnx");
    Path tokenizer = folder.resolve("tokenizer.json");
    for (Path file : List.of(model, tokenizer)) {
      if (!Files.isReadable(file)) {
        throw new EmbeddingException(file + " is missing or cannot be read");
      }
    }
    WordPiece words = WordPiece.load(tokenizer);
    try {
      OrtEnvironment environment = OrtEnvironment.getEnvironment();
      OrtSession session;
      try (var options = new OrtSession.SessionOptions()) {
        // Beside the database: one processor is enough to follow what people write.
        options.setIntraOpNumThreads(1);
        session = environment.createSession(model.toString(), options);
      }
      Set<String> inputs = session.getInputNames();
      if (!inputs.contains(IDS) || !Set.of(IDS, MASK, TYPES).containsAll(inputs)) {
        session.close();
        throw new EmbeddingException(
            model
                + " must take input_ids and may take attention_mask and token_type_ids, but takes "
                + inputs);
      }
      Path called = folder.toAbsolutePath().normalize().getFileName();
      return new OnnxEmbedder(String.valueOf(called), words, environment, session);
    } catch (OrtException e) {
      throw new EmbeddingException(model + " cannot be loaded: " + e.getMessage(), e);
    } catch (UnsatisfiedLinkError e) {
      throw new EmbeddingException("ONNX Runtime cannot be loaded: " + e.getMessage(), e);
    }
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public int batch() {
    return BATCH;
  }

  @Override
  public List<float[]> embed(List<String> texts) {
    List<long[]> pieces = texts.stream().map(tokenizer::pieces).toList();
    int longest = pieces.stream().mapToInt(p -> p.length).max().orElse(0);
    LongBuffer ids = LongBuffer.allocate(texts.size() * longest);
    LongBuffer mask = LongBuffer.allocate(texts.size() * longest);
    for (long[] text : pieces) {
      for (int i = 0; i < longest; i++) {
        ids.put(i < text.length ? text[i] : 0);
        mask.put(i < text.length ? 1 : 0);
      }
    }
    LongBuffer types = LongBuffer.allocate(texts.size() * longest);
    Map<String, LongBuffer> all = Map.of(IDS, ids.flip(), MASK, mask.flip(), TYPES, types);
    long[] shape = {texts.size(), longest};
    var inputs = new HashMap<String, OnnxTensor>();
    try {
      for (String input : session.getInputNames()) {
        LongBuffer values = all.get(input);
        if (values != null) {
          inputs.put(input, OnnxTensor.createTensor(environment, values, shape));
        }
      }
      try (OrtSession.Result result = session.run(inputs)) {
        return vectors(result.get(0).getValue(), pieces);
      }
    } catch (OrtException e) {
      throw new EmbeddingException("the model " + name + " failed: " + e.getMessage(), e);
    } finally {
      inputs.values().forEach(OnnxTensor::close);
    }
  }

  private List<float[]> vectors(Object output, List<long[]> pieces) {
    var vectors = new ArrayList<float[]>();
    for (int text = 0; text < pieces.size(); text++) {
      float[] vector =
          switch (output) {
            case float[][] whole -> whole[text].clone();
            case float[][][] each -> mean(each[text], pieces.get(text).length);
            default ->
                throw new EmbeddingException(
                    "the first output of "
                        + name
                        + " must be float with two or three dimensions, but is "
                        + output.getClass().getSimpleName());
          };
      vectors.add(unit(vector));
    }
    return vectors;
  }

  private static float[] mean(float[][] each, int count) {
    float[] mean = new float[each[0].length];
    for (int i = 0; i < count; i++) {
      for (int d = 0; d < mean.length; d++) {
        mean[d] += each[i][d] / count;
      }
    }
    return mean;
  }

  private float[] unit(float[] vector) {
    double squares = 0;
    for (float value : vector) {
      squares += (double) value * value;
    }
    double length = Math.sqrt(squares);
    if (!(length > 0 && length < Double.POSITIVE_INFINITY)) {
      throw new EmbeddingException("the model " + name + " gives a vector without a direction");
    }
    for (int d = 0; d < vector.length; d++) {
      vector[d] = (float) (vector[d] / length);
    }
    return vector;
  }

  @Override
  public void close() {
    try {
      session.close();
    } catch (OrtException e) {
      throw new EmbeddingException("the model " + name + " cannot be closed: " + e.getMessage(), e);
    }
  }
}
