 void @"gemm_f32_2x8_generic_px_tail"(i64 %".1", i64 %".2", i64 %".3", i64 %".4", i64 %".5", i64 %".6", i64 %".7", i64 %".8", i64 %".9", i64 %".10", i64 %".11", i64 %".12", i64 %".13", i64 %".14")
{
.16:
  %".17" = icmp slt i64 %".13", 4
  %".18" = select  i1 %".17", i64 %".13", i64 4
  %".19" = trunc i64 %".18" to i32
  %".20" = insertelement <4 x i32> <i32 undef, i32 undef, i32 undef, i32 undef>, i32 %".19", i32 0
  %".21" = shufflevector <4 x i32> %".20", <4 x i32> <i32 undef, i32 undef, i32 undef, i32 undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".22" = icmp slt <4 x i32> <i32 0, i32 1, i32 2, i32 3>, %".21"
  %".23" = inttoptr i64 %".3" to i8*
  %".24" = inttoptr i64 %".2" to i8*
  %".25" = inttoptr i64 %".4" to i8*
  %".26" = inttoptr i64 %".6" to i8*
  call void @"llvm.prefetch.p0"(i8* %".26", i32 1, i32 3, i32 1)
  %".28" = getelementptr i8, i8* %".26", i64 16
  call void @"llvm.prefetch.p0"(i8* %".28", i32 1, i32 3, i32 1)
  %".30" = getelementptr i8, i8* %".26", i64 %".7"
  call void @"llvm.prefetch.p0"(i8* %".30", i32 1, i32 3, i32 1)
  %".32" = getelementptr i8, i8* %".30", i64 16
  call void @"llvm.prefetch.p0"(i8* %".32", i32 1, i32 3, i32 1)
  %".34" = getelementptr i8, i8* %".30", i64 %".7"
  %".35" = inttoptr i64 %".14" to i8*
  br label %"loop"
loop:
  %".37" = phi  i64 [0, %".16"], [%".68", %"loop"]
  %".38" = phi  i8* [%".23", %".16"], [%".66", %"loop"]
  %".39" = phi  i8* [%".25", %".16"], [%".67", %"loop"]
  %".40" = phi  i8* [%".24", %".16"], [%".40", %"loop"]
  %".41" = phi  <4 x float> [<float              0x0, float              0x0, float              0x0, float              0x0>, %".16"], [%".60", %"loop"]
  %".42" = phi  <4 x float> [<float              0x0, float              0x0, float              0x0, float              0x0>, %".16"], [%".61", %"loop"]
  %".43" = phi  <4 x float> [<float              0x0, float              0x0, float              0x0, float              0x0>, %".16"], [%".64", %"loop"]
  %".44" = phi  <4 x float> [<float              0x0, float              0x0, float              0x0, float              0x0>, %".16"], [%".65", %"loop"]
  %".45" = bitcast i8* %".38" to i64*
  %".46" = load i64, i64* %".45", align 8
  %".47" = getelementptr i8, i8* %".24", i64 %".46"
  %".48" = bitcast i8* %".47" to <4 x float>*
  %".49" = load <4 x float>, <4 x float>* %".48", align 4
  %".50" = getelementptr i8, i8* %".47", i64 16
  %".51" = bitcast i8* %".50" to <4 x float>*
  %".52" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".51", i32 4, <4 x i1> %".22", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".53" = bitcast i8* %".39" to float*
  %".54" = load float, float* %".53", align 4
  %".55" = getelementptr i8, i8* %".39", i64 4
  %".56" = bitcast i8* %".55" to float*
  %".57" = load float, float* %".56", align 4
  %".58" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".54", i32 0
  %".59" = shufflevector <4 x float> %".58", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".60" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".59", <4 x float> %".49", <4 x float> %".41")
  %".61" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".59", <4 x float> %".52", <4 x float> %".42")
  %".62" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".57", i32 0
  %".63" = shufflevector <4 x float> %".62", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".64" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".63", <4 x float> %".49", <4 x float> %".43")
  %".65" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".63", <4 x float> %".52", <4 x float> %".44")
  %".66" = getelementptr i8, i8* %".38", i64 8
  %".67" = getelementptr i8, i8* %".39", i64 8
  %".68" = add i64 %".37", 1
  %".69" = icmp slt i64 %".68", %".1"
  br i1 %".69", label %"loop", label %"done"
done:
  %".71" = inttoptr i64 %".6" to i8*
  %".72" = icmp eq i64 %".8", 0
  br i1 %".72", label %"then", label %"after"
then:
  %".74" = bitcast i8* %".71" to <4 x float>*
  %".75" = load <4 x float>, <4 x float>* %".74", align 4
  %".76" = fadd <4 x float> %".60", %".75"
  %".77" = getelementptr i8, i8* %".71", i64 16
  %".78" = bitcast i8* %".77" to <4 x float>*
  %".79" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".78", i32 4, <4 x i1> %".22", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".80" = fadd <4 x float> %".61", %".79"
  %".81" = getelementptr i8, i8* %".71", i64 %".7"
  %".82" = bitcast i8* %".81" to <4 x float>*
  %".83" = load <4 x float>, <4 x float>* %".82", align 4
  %".84" = fadd <4 x float> %".64", %".83"
  %".85" = getelementptr i8, i8* %".81", i64 16
  %".86" = bitcast i8* %".85" to <4 x float>*
  %".87" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".86", i32 4, <4 x i1> %".22", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".88" = fadd <4 x float> %".65", %".87"
  %".89" = getelementptr i8, i8* %".81", i64 %".7"
  br label %"after"
after:
  %".91" = phi  <4 x float> [%".60", %"done"], [%".76", %"then"]
  %".92" = phi  <4 x float> [%".61", %"done"], [%".80", %"then"]
  %".93" = phi  <4 x float> [%".64", %"done"], [%".84", %"then"]
  %".94" = phi  <4 x float> [%".65", %"done"], [%".88", %"then"]
  %".95" = icmp ne i64 %".9", 0
  br i1 %".95", label %"then.1", label %"after.1"
then.1:
  %".97" = inttoptr i64 %".9" to i8*
  %".98" = bitcast i8* %".97" to float*
  %".99" = load float, float* %".98", align 4
  %".100" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".99", i32 0
  %".101" = shufflevector <4 x float> %".100", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".102" = getelementptr i8, i8* %".97", i64 4
  %".103" = bitcast i8* %".102" to float*
  %".104" = load float, float* %".103", align 4
  %".105" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".104", i32 0
  %".106" = shufflevector <4 x float> %".105", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".107" = fadd <4 x float> %".91", %".101"
  %".108" = fadd <4 x float> %".92", %".101"
  %".109" = fadd <4 x float> %".93", %".106"
  %".110" = fadd <4 x float> %".94", %".106"
  br label %"after.1"
after.1:
  %".112" = phi  <4 x float> [%".91", %"after"], [%".107", %"then.1"]
  %".113" = phi  <4 x float> [%".92", %"after"], [%".108", %"then.1"]
  %".114" = phi  <4 x float> [%".93", %"after"], [%".109", %"then.1"]
  %".115" = phi  <4 x float> [%".94", %"after"], [%".110", %"then.1"]
  %".116" = icmp ne i64 %".10", 0
  %".117" = inttoptr i64 %".10" to i8*
  br i1 %".116", label %"then.2", label %"after.2"
then.2:
  %".119" = bitcast i8* %".117" to <4 x float>*
  %".120" = load <4 x float>, <4 x float>* %".119", align 4
  %".121" = fadd <4 x float> %".112", %".120"
  %".122" = getelementptr i8, i8* %".117", i64 16
  %".123" = bitcast i8* %".122" to <4 x float>*
  %".124" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".123", i32 4, <4 x i1> %".22", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".125" = fadd <4 x float> %".113", %".124"
  %".126" = getelementptr i8, i8* %".117", i64 %".11"
  %".127" = bitcast i8* %".126" to <4 x float>*
  %".128" = load <4 x float>, <4 x float>* %".127", align 4
  %".129" = fadd <4 x float> %".114", %".128"
  %".130" = getelementptr i8, i8* %".126", i64 16
  %".131" = bitcast i8* %".130" to <4 x float>*
  %".132" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".131", i32 4, <4 x i1> %".22", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".133" = fadd <4 x float> %".115", %".132"
  %".134" = getelementptr i8, i8* %".126", i64 %".11"
  br label %"after.2"
after.2:
  %".136" = phi  <4 x float> [%".112", %"after.1"], [%".121", %"then.2"]
  %".137" = phi  <4 x float> [%".113", %"after.1"], [%".125", %"then.2"]
  %".138" = phi  <4 x float> [%".114", %"after.1"], [%".129", %"then.2"]
  %".139" = phi  <4 x float> [%".115", %"after.1"], [%".133", %"then.2"]
  %".140" = icmp eq i64 %".12", 1
  br i1 %".140", label %"then.3", label %"after.3"
then.3:
  %".142" = fcmp olt <4 x float> %".136", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".143" = select  <4 x i1> %".142", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".136"
  %".144" = fcmp olt <4 x float> %".137", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".145" = select  <4 x i1> %".144", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".137"
  %".146" = fcmp olt <4 x float> %".138", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".147" = select  <4 x i1> %".146", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".138"
  %".148" = fcmp olt <4 x float> %".139", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".149" = select  <4 x i1> %".148", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".139"
  br label %"after.3"
after.3:
  %".151" = phi  <4 x float> [%".136", %"after.2"], [%".143", %"then.3"]
  %".152" = phi  <4 x float> [%".137", %"after.2"], [%".145", %"then.3"]
  %".153" = phi  <4 x float> [%".138", %"after.2"], [%".147", %"then.3"]
  %".154" = phi  <4 x float> [%".139", %"after.2"], [%".149", %"then.3"]
  %".155" = icmp eq i64 %".12", 2
  br i1 %".155", label %"then.4", label %"after.4"
then.4:
  %".157" = fcmp olt <4 x float> %".151", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".158" = select  <4 x i1> %".157", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".151"
  %".159" = fcmp olt <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, %".151"
  %".160" = select  <4 x i1> %".159", <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, <4 x float> %".158"
  %".161" = fcmp olt <4 x float> %".152", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".162" = select  <4 x i1> %".161", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".152"
  %".163" = fcmp olt <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, %".152"
  %".164" = select  <4 x i1> %".163", <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, <4 x float> %".162"
  %".165" = fcmp olt <4 x float> %".153", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".166" = select  <4 x i1> %".165", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".153"
  %".167" = fcmp olt <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, %".153"
  %".168" = select  <4 x i1> %".167", <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, <4 x float> %".166"
  %".169" = fcmp olt <4 x float> %".154", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".170" = select  <4 x i1> %".169", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".154"
  %".171" = fcmp olt <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, %".154"
  %".172" = select  <4 x i1> %".171", <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, <4 x float> %".170"
  br label %"after.4"
after.4:
  %".174" = phi  <4 x float> [%".151", %"after.3"], [%".160", %"then.4"]
  %".175" = phi  <4 x float> [%".152", %"after.3"], [%".164", %"then.4"]
  %".176" = phi  <4 x float> [%".153", %"after.3"], [%".168", %"then.4"]
  %".177" = phi  <4 x float> [%".154", %"after.3"], [%".172", %"then.4"]
  %".178" = icmp sgt i64 %".12", 2
  br i1 %".178", label %"then.5", label %"after.5"
then.5:
  %".180" = inttoptr i64 %".12" to i8*
  %".181" = bitcast i8* %".180" to float*
  %".182" = load float, float* %".181", align 4
  %".183" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".182", i32 0
  %".184" = shufflevector <4 x float> %".183", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".185" = fmul <4 x float> %".174", %".184"
  %".186" = fcmp olt <4 x float> %".174", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".187" = select  <4 x i1> %".186", <4 x float> %".185", <4 x float> %".174"
  %".188" = inttoptr i64 %".12" to i8*
  %".189" = bitcast i8* %".188" to float*
  %".190" = load float, float* %".189", align 4
  %".191" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".190", i32 0
  %".192" = shufflevector <4 x float> %".191", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".193" = fmul <4 x float> %".175", %".192"
  %".194" = fcmp olt <4 x float> %".175", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".195" = select  <4 x i1> %".194", <4 x float> %".193", <4 x float> %".175"
  %".196" = inttoptr i64 %".12" to i8*
  %".197" = bitcast i8* %".196" to float*
  %".198" = load float, float* %".197", align 4
  %".199" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".198", i32 0
  %".200" = shufflevector <4 x float> %".199", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".201" = fmul <4 x float> %".176", %".200"
  %".202" = fcmp olt <4 x float> %".176", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".203" = select  <4 x i1> %".202", <4 x float> %".201", <4 x float> %".176"
  %".204" = inttoptr i64 %".12" to i8*
  %".205" = bitcast i8* %".204" to float*
  %".206" = load float, float* %".205", align 4
  %".207" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".206", i32 0
  %".208" = shufflevector <4 x float> %".207", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".209" = fmul <4 x float> %".177", %".208"
  %".210" = fcmp olt <4 x float> %".177", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".211" = select  <4 x i1> %".210", <4 x float> %".209", <4 x float> %".177"
  br label %"after.5"
after.5:
  %".213" = phi  <4 x float> [%".174", %"after.4"], [%".187", %"then.5"]
  %".214" = phi  <4 x float> [%".175", %"after.4"], [%".195", %"then.5"]
  %".215" = phi  <4 x float> [%".176", %"after.4"], [%".203", %"then.5"]
  %".216" = phi  <4 x float> [%".177", %"after.4"], [%".211", %"then.5"]
  %".217" = bitcast i8* %".71" to <4 x float>*
  store <4 x float> %".213", <4 x float>* %".217", align 4
  %".219" = getelementptr i8, i8* %".71", i64 16
  %".220" = bitcast i8* %".219" to <4 x float>*
  call void @"llvm.masked.store.v4f32.p0"(<4 x float> %".214", <4 x float>* %".220", i32 4, <4 x i1> %".22")
  %".222" = getelementptr i8, i8* %".71", i64 %".7"
  %".223" = bitcast i8* %".222" to <4 x float>*
  store <4 x float> %".215", <4 x float>* %".223", align 4
  %".225" = getelementptr i8, i8* %".222", i64 16
  %".226" = bitcast i8* %".225" to <4 x float>*
  call void @"llvm.masked.store.v4f32.p0"(<4 x float> %".216", <4 x float>* %".226", i32 4, <4 x i1> %".22")
  %".228" = getelementptr i8, i8* %".222", i64 %".7"
  ret void
}

declare void @"llvm.prefetch.p0"(i8* %".1", i32 %".2", i32 %".3", i32 %".4")

declare <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".1", i32 %".2", <4 x i1> %".3", <4 x float> %".4")

declare <4 x float> @"llvm.fma.v4f32"(<4 x float> %".1", <4 x float> %".2", <4 x float> %".3")

declare void @"llvm.masked.store.v4f32.p0"(<4 x float> %".1", <4 x float>* %".2", i32 %".3", <4 x i1> %".4")
