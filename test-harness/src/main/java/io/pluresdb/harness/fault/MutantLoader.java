package io.pluresdb.harness.fault;

import static java.lang.constant.ConstantDescs.CD_List;

import java.io.IOException;
import java.io.InputStream;
import java.lang.classfile.ClassFile;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.MethodModel;
import java.lang.classfile.TypeKind;
import java.lang.constant.MethodTypeDesc;

/** Loads the product and the simulator once more, with one method of the product rewritten. */
public final class MutantLoader extends ClassLoader {
  private final Mutant mutant;
  private final byte[] mutated;

  /**
   * Prepares the mutant.
   *
   * @throws IllegalStateException when the product has no such method any more
   */
  public MutantLoader(Mutant mutant) {
    super(MutantLoader.class.getClassLoader());
    this.mutant = mutant;
    try {
      // Not when the class is first used: the simulator would take it for a failure of the product.
      mutated = mutate(read(mutant.className()));
    } catch (ClassNotFoundException e) {
      throw new IllegalStateException(mutant + " names a class that is not there", e);
    }
  }

  @Override
  protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
    if (Mutant.packages().stream().noneMatch(name::startsWith)) {
      return super.loadClass(name, resolve);
    }
    synchronized (getClassLoadingLock(name)) {
      Class<?> loaded = findLoadedClass(name);
      return loaded != null ? loaded : define(name);
    }
  }

  private Class<?> define(String name) throws ClassNotFoundException {
    byte[] bytes = name.equals(mutant.className()) ? mutated : read(name);
    return defineClass(name, bytes, 0, bytes.length);
  }

  private byte[] read(String name) throws ClassNotFoundException {
    try (InputStream in = getResourceAsStream(name.replace('.', '/') + ".class")) {
      if (in == null) {
        throw new ClassNotFoundException(name);
      }
      return in.readAllBytes();
    } catch (IOException e) {
      throw new ClassNotFoundException(name, e);
    }
  }

  private byte[] mutate(byte[] bytes) {
    var model = ClassFile.of().parse(bytes);
    boolean[] found = new boolean[1];
    byte[] rewritten =
        ClassFile.of()
            .transformClass(
                model,
                (builder, element) -> {
                  if (element instanceof MethodModel method
                      && method.methodName().equalsString(mutant.method())) {
                    found[0] = true;
                    builder.withMethodBody(
                        method.methodName(),
                        method.methodType(),
                        method.flags().flagsMask(),
                        code -> body(code, TypeKind.from(method.methodTypeSymbol().returnType())));
                  } else {
                    builder.with(element);
                  }
                });
    if (!found[0]) {
      throw new IllegalStateException(
          mutant + " names a method that is not there: " + mutant.method());
    }
    return rewritten;
  }

  private void body(CodeBuilder code, TypeKind returned) {
    switch (mutant.body()) {
      case NOTHING -> {}
      case TRUE -> code.iconst_1();
      case NULL -> code.aconst_null();
      case ZERO -> {
        if (returned == TypeKind.LONG) {
          code.lconst_0();
        } else {
          code.iconst_0();
        }
      }
      case MAX -> code.loadConstant(Long.MAX_VALUE);
      case EMPTY_LIST -> code.invokestatic(CD_List, "of", MethodTypeDesc.of(CD_List), true);
    }
    code.return_(returned);
  }
}
